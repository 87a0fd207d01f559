package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"lifeboat.dev/e2e/bed"
	"lifeboat.dev/e2e/bed/build"
	"lifeboat.dev/e2e/bed/cluster"
	"lifeboat.dev/e2e/bed/image"
	"lifeboat.dev/e2e/bed/layout"
	"lifeboat.dev/e2e/bed/memory"
	"lifeboat.dev/e2e/bed/store"
)

type handler = func(context.Context, layout.Dirs, []string) error

// commands are all subcommands, in the order that the help shows them. One
// without a help text is not for people.
var commands []action

func add(name, arguments, help string, setup func(*flag.FlagSet) handler) {
	usage := name
	if arguments != "" {
		usage += " " + arguments
	}
	commands = append(commands, action{name, usage, help, setup})
}

// plain is a subcommand without flags and with an exact number of arguments.
func plain(count int, do handler) func(*flag.FlagSet) handler {
	return func(*flag.FlagSet) handler {
		return func(ctx context.Context, dirs layout.Dirs, args []string) error {
			if len(args) != count {
				return errUsage
			}
			return do(ctx, dirs, args)
		}
	}
}

func init() {
	add("build", "", "Install what is missing and build all components.\n"+
		"The first time takes some ten minutes on two cores; what is up to date is skipped.",
		plain(0, func(ctx context.Context, dirs layout.Dirs, _ []string) error {
			repo, err := layout.Repo()
			if err != nil {
				return err
			}
			return build.All(ctx, dirs, repo)
		}))
	add("up", "[--only CLUSTER]", "Bring up everything that is not running.", up)
	add("down", "", "Stop and remove everything, and check that nothing is left.\n"+
		"What was built and the logs stay.", plain(0, func(ctx context.Context, dirs layout.Dirs, _ []string) error {
		return bed.Down(ctx, dirs)
	}))
	add("status", "", "Show what runs and where.", plain(0, status))
	add("env", "", "Print shell exports, for eval.", plain(0, env))
	add("check", "[CLUSTER]", "Check the accounts of the store, and from a Job in each cluster that pods reach everything.", check)
	add("logs", "[COMPONENT]", "Print the log of a component, or list the components.\n"+
		"A component is GROUP/NAME as `bed status` shows it, or just NAME if that is enough.", logs)
	add("start-cluster", "CLUSTER", "Start one cluster, with what it had stored.", plain(1, startCluster))
	add("stop-cluster", "CLUSTER", "Kill one cluster with all pods, as a power cut would.", plain(1, stopCluster))
	add("start", "SERVICE", "Start influxdb-primary, influxdb-standby, s3-http or s3-https.", plain(1, startService))
	add("stop", "SERVICE", "Stop influxdb-primary, influxdb-standby, s3-http or s3-https.", plain(1, stopService))
	add("influx start", "NAME [--auth]", "Start one more InfluxDB, reached as NAME."+layout.Domain+".", influxStart)
	add("influx stop", "NAME [--delete]", "Stop an InfluxDB.", influxStop)
	add("influx list", "", "List all InfluxDB servers.", plain(0, influxList))
	add("bucket create", "NAME [--versioning]", "Make a bucket with the same rights as "+layout.StoreBucket+".",
		func(flags *flag.FlagSet) handler {
			versioning := flags.Bool("versioning", false, "keep all versions of every object")
			return plainWith(1, func(ctx context.Context, _ layout.Dirs, args []string) error {
				return store.CreateBucket(ctx, args[0], *versioning)
			})
		})
	add("image", "BINARY [TAG]", "Build the project's image around a static binary and load it.\n"+
		"It builds the stage runtime-prebuilt of the Dockerfile on an empty base image; the name\n"+
		"is "+image.Name+":TAG, and TAG is dev unless given.", buildImage)
	add("load-image", "ARCHIVE", "Load a docker archive into both clusters.",
		plain(1, func(ctx context.Context, dirs layout.Dirs, args []string) error {
			return load(ctx, dirs, args[0])
		}))
	add("memory-peak", "CLUSTER NAMESPACE POD [--all]",
		"Print how many bytes of memory a pod has used at most, also of one that has ended.\n"+
			"It is a bound of its control group's peak without page cache; the README says more.", memoryPeak)
	add("memory-watch", "", "", plain(0, func(ctx context.Context, dirs layout.Dirs, _ []string) error {
		return memory.Watch(ctx, dirs)
	}))
}

func plainWith(count int, do handler) handler { return plain(count, do)(nil) }

func up(flags *flag.FlagSet) handler {
	only := flags.String("only", "", "bring up this cluster only: primary or standby")
	return plainWith(0, func(ctx context.Context, dirs layout.Dirs, _ []string) error {
		clusters := layout.Clusters
		if *only != "" {
			c, err := clusterNamed(*only)
			if err != nil {
				return err
			}
			clusters = []layout.Cluster{c}
		}
		return bed.Up(ctx, dirs, clusters)
	})
}

func check(*flag.FlagSet) handler {
	return func(ctx context.Context, dirs layout.Dirs, args []string) error {
		clusters := layout.Clusters
		if len(args) > 0 {
			c, err := clusterNamed(args[0])
			if err != nil {
				return err
			}
			clusters = []layout.Cluster{c}
		}
		said, err := store.Check(ctx)
		if err != nil {
			return err
		}
		fmt.Print("object store, from this machine:\n", said)
		for _, c := range clusters {
			said, err := cluster.Check(ctx, dirs, c)
			if err != nil {
				return err
			}
			fmt.Printf("cluster %s, in a pod:\n%s", c.Name, said)
		}
		return nil
	}
}

func startCluster(ctx context.Context, dirs layout.Dirs, args []string) error {
	c, err := clusterNamed(args[0])
	if err != nil {
		return err
	}
	return bed.StartCluster(ctx, dirs, c)
}

func stopCluster(ctx context.Context, dirs layout.Dirs, args []string) error {
	c, err := clusterNamed(args[0])
	if err != nil {
		return err
	}
	return cluster.Stop(ctx, dirs, c)
}

func buildImage(*flag.FlagSet) handler {
	return func(ctx context.Context, dirs layout.Dirs, args []string) error {
		tag := "dev"
		switch len(args) {
		case 1:
		case 2:
			tag = args[1]
		default:
			return errUsage
		}
		repo, err := layout.Repo()
		if err != nil {
			return err
		}
		archive, err := image.Build(ctx, dirs, filepath.Join(repo, "Dockerfile"), args[0], tag)
		if err != nil {
			return err
		}
		fmt.Println("built", archive)
		return load(ctx, dirs, archive)
	}
}

// load loads an archive into all clusters that are up; those that are not get
// the bed's own images when they start.
func load(ctx context.Context, _ layout.Dirs, archive string) error {
	if _, err := os.Stat(archive); err != nil {
		return err
	}
	loaded := 0
	for _, c := range layout.Clusters {
		if _, err := os.Stat(c.ContainerdSocket()); err != nil {
			continue
		}
		if err := image.Import(ctx, c, archive); err != nil {
			return err
		}
		fmt.Println("loaded into", c.Name)
		loaded++
	}
	if loaded == 0 {
		fmt.Println("no cluster is up to load it into")
	}
	return nil
}

func memoryPeak(flags *flag.FlagSet) handler {
	all := flags.Bool("all", false, "print all that was measured")
	return plainWith(3, func(_ context.Context, dirs layout.Dirs, args []string) error {
		if _, err := clusterNamed(args[0]); err != nil {
			return err
		}
		peak, err := memory.Of(dirs, args[0], args[1], args[2])
		if err != nil {
			return err
		}
		if !*all {
			fmt.Println(peak.WithoutCache())
			return nil
		}
		fmt.Printf("resident %d\nkernel %d\nanonymous %d\nwith-cache %d\nlooks %d\n",
			peak.Resident, peak.Kernel, peak.Anonymous, peak.WithCache, peak.Looks)
		return nil
	})
}

func clusterNamed(name string) (layout.Cluster, error) {
	for _, c := range layout.Clusters {
		if c.Name == name {
			return c, nil
		}
	}
	return layout.Cluster{}, fmt.Errorf("there is no cluster %q, only primary and standby", name)
}
