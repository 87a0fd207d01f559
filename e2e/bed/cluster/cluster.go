// Package cluster runs a complete Kubernetes of one node in a network namespace.
package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"lifeboat.dev/e2e/bed/cgroup"
	"lifeboat.dev/e2e/bed/command"
	"lifeboat.dev/e2e/bed/image"
	"lifeboat.dev/e2e/bed/layout"
	"lifeboat.dev/e2e/bed/network"
	"lifeboat.dev/e2e/bed/pki"
	"lifeboat.dev/e2e/bed/service"
	"lifeboat.dev/e2e/bed/wait"
)

// PauseImage is the image that keeps a pod's namespaces alive.
const PauseImage = "localhost/pause:dev"

type node struct {
	layout.Cluster
	dirs layout.Dirs
	ca   *pki.CA
}

func (n *node) run(parts ...string) string {
	return n.dirs.Run(append([]string{n.Name}, parts...)...)
}

func (n *node) runtime() string { return filepath.Join(layout.RuntimeDir, n.Name) }

// Start brings a cluster up. What runs already is left alone.
func Start(ctx context.Context, dirs layout.Dirs, c layout.Cluster, progress func(string)) error {
	n := &node{Cluster: c, dirs: dirs}
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"node prepared", n.prepare},
		{"API server ready", n.controlPlane},
		{"containerd ready, images loaded", n.containerRuntime},
		{"node Ready", n.nodeServices},
		{"DNS ready", n.dnsReady},
	} {
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("cluster %s: %w", c.Name, err)
		}
		progress(step.what)
	}
	return nil
}

// prepare does what happens once per boot of a real node.
func (n *node) prepare(ctx context.Context) error {
	if service.Pid(n.dirs, n.Name, "containerd") == 0 {
		// Without containerd nothing of its runtime state is true any more.
		if err := Clean(ctx, n.dirs, n.Cluster); err != nil {
			return err
		}
	}
	if err := network.Ensure(ctx, n.Netns, n.Address); err != nil {
		return err
	}
	if err := n.routing(ctx); err != nil {
		return err
	}
	for _, dir := range []string{n.run("etcd"), n.run("kubelet"), n.run("pod-logs"), n.runtime()} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := cgroup.Ensure(n.Name); err != nil {
		return err
	}
	if err := n.certificates(); err != nil {
		return err
	}
	return n.configure()
}

// routing lets pods reach the bed's subnet, where nobody knows their addresses.
func (n *node) routing(ctx context.Context) error {
	// Read and written inside the namespace: these settings belong to it.
	if err := command.Run(ctx, network.In(n.Netns, "sh", "-c",
		"echo 1 > /proc/sys/net/ipv4/ip_forward; "+
			// Or a pod's answer to another pod would bypass kube-proxy's rules. A module on some machines.
			"[ -e /proc/sys/net/bridge ] || modprobe br_netfilter; "+
			"echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables")...); err != nil {
		return err
	}
	// The service addresses need some route, or a process on the node gets "unreachable"
	// before kube-proxy's rules are asked.
	if err := command.Run(ctx, "ip", "-n", n.Netns, "route", "replace", n.ServiceCIDR, "dev", "eth0"); err != nil {
		return err
	}
	rule := []string{"POSTROUTING", "-s", n.PodCIDR, "!", "-d", n.PodCIDR, "-j", "MASQUERADE"}
	if command.Run(ctx, network.In(n.Netns, append([]string{"iptables", "-w", "-t", "nat", "-C"}, rule...)...)...) == nil {
		return nil
	}
	return command.Run(ctx, network.In(n.Netns, append([]string{"iptables", "-w", "-t", "nat", "-A"}, rule...)...)...)
}

func (n *node) controlPlane(ctx context.Context) error {
	if err := n.start("etcd",
		"--name="+n.Name,
		"--data-dir="+n.run("etcd"),
		"--listen-client-urls=http://127.0.0.1:2379",
		"--advertise-client-urls=http://127.0.0.1:2379",
		"--listen-peer-urls=http://127.0.0.1:2380",
		"--listen-metrics-urls=http://"+n.Address+":2381", // its health too
		// The data is thrown away with the bed. Killing the process loses nothing even so.
		"--unsafe-no-fsync",
	); err != nil {
		return err
	}
	// The API server would try again by itself, but ever more seldom.
	if err := n.waitFor(ctx, "etcd ready", "etcd", 30*time.Second,
		wait.HTTP(http.DefaultClient, "http://"+n.Address+":2381/health")); err != nil {
		return err
	}
	if err := n.start("kube-apiserver",
		"--etcd-servers=http://127.0.0.1:2379",
		"--advertise-address="+n.Address,
		"--bind-address="+n.Address,
		"--service-cluster-ip-range="+n.ServiceCIDR,
		"--authorization-mode=Node,RBAC",
		"--client-ca-file="+n.ca.Cert("ca"),
		"--tls-cert-file="+n.ca.Cert("apiserver"),
		"--tls-private-key-file="+n.ca.Key("apiserver"),
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file="+n.run("pki", "service-accounts.pub"),
		"--service-account-signing-key-file="+n.ca.Key("service-accounts"),
		"--kubelet-client-certificate="+n.ca.Cert("apiserver-to-kubelet"),
		"--kubelet-client-key="+n.ca.Key("apiserver-to-kubelet"),
		"--kubelet-certificate-authority="+n.ca.Cert("ca"),
		"--kubelet-preferred-address-types=InternalIP",
		"--allow-privileged=true",
	); err != nil {
		return err
	}
	client, err := n.client()
	if err != nil {
		return err
	}
	return n.waitFor(ctx, "API server ready", "kube-apiserver", 60*time.Second, wait.HTTP(client, n.Server()+"/readyz"))
}

func (n *node) containerRuntime(ctx context.Context) error {
	if err := n.startProgram("containerd", "containerd", "--config", n.run("config", "containerd.toml")); err != nil {
		return err
	}
	if err := n.waitFor(ctx, "containerd ready", "containerd", 30*time.Second, func(ctx context.Context) error {
		return command.Run(ctx, image.Ctr(n.Cluster, "version")...)
	}); err != nil {
		return err
	}
	archives, err := filepath.Glob(filepath.Join(n.dirs.Images(), "*.tar"))
	if err != nil {
		return err
	}
	for _, archive := range archives {
		if err := image.Import(ctx, n.Cluster, archive); err != nil {
			return err
		}
	}
	return nil
}

func (n *node) nodeServices(ctx context.Context) error {
	controller, scheduler := n.run("pki", "controller.kubeconfig"), n.run("pki", "scheduler.kubeconfig")
	if err := n.start("kube-controller-manager",
		"--kubeconfig="+controller,
		"--authentication-kubeconfig="+controller,
		"--authorization-kubeconfig="+controller,
		"--service-account-private-key-file="+n.ca.Key("service-accounts"),
		"--root-ca-file="+n.ca.Cert("ca"),
		"--cluster-signing-cert-file="+n.ca.Cert("ca"),
		"--cluster-signing-key-file="+n.ca.Key("ca"),
		"--use-service-account-credentials=true",
		"--allocate-node-cidrs=false",
		"--leader-elect=false",
	); err != nil {
		return err
	}
	if err := n.start("kube-scheduler",
		"--kubeconfig="+scheduler,
		"--authentication-kubeconfig="+scheduler,
		"--authorization-kubeconfig="+scheduler,
		"--leader-elect=false",
	); err != nil {
		return err
	}
	if err := n.start("kubelet",
		"--config="+n.run("config", "kubelet.yaml"),
		"--kubeconfig="+n.run("pki", "node.kubeconfig"),
		"--root-dir="+n.run("kubelet"),
		"--hostname-override="+n.Name,
		"--node-ip="+n.Address,
	); err != nil {
		return err
	}
	if err := n.start("kube-proxy", "--config="+n.run("config", "proxy.yaml")); err != nil {
		return err
	}
	if _, err := n.kubectl(ctx, "apply", "-f", n.run("config", "base.yaml")); err != nil {
		return err
	}
	if err := n.start("coredns", "-conf", n.run("config", "Corefile")); err != nil {
		return err
	}
	return n.waitFor(ctx, "node Ready", "kubelet", 90*time.Second, n.nodeReady)
}

// nodeReady asks for more than the condition: a node that was Ready before its
// cluster was stopped is still called Ready until kubelet reports again.
func (n *node) nodeReady(ctx context.Context) error {
	client, err := n.client()
	if err != nil {
		return err
	}
	// A list of the pods through the API server proves that kubelet answers.
	if err := wait.HTTP(client, n.Server()+"/api/v1/nodes/"+n.Name+"/proxy/pods")(ctx); err != nil {
		return err
	}
	ready, err := n.kubectl(ctx, "get", "node", n.Name,
		"-o", `jsonpath={.status.conditions[?(@.type=="Ready")].status} {.spec.taints[*].key}`)
	if err != nil {
		return err
	}
	if strings.TrimSpace(ready) != "True" {
		return fmt.Errorf("Ready and taints are %q", ready)
	}
	// Every pod needs this one, and it is made only some time after its namespace.
	_, err = n.kubectl(ctx, "get", "serviceaccount", "default", "-n", "default", "-o", "name")
	return err
}

func (n *node) dnsReady(ctx context.Context) error {
	return n.waitFor(ctx, "DNS ready", "coredns", 60*time.Second,
		wait.HTTP(http.DefaultClient, "http://"+n.Address+":8181/ready"))
}

func (n *node) start(name string, args ...string) error {
	return n.startProgram(name, n.dirs.Bin(name), args...)
}

func (n *node) startProgram(name, program string, args ...string) error {
	return service.Start(n.dirs, service.Service{
		Group: n.Name, Name: name, Netns: n.Netns, Dir: n.run(), Argv: append([]string{program}, args...),
	})
}

// waitFor waits for a condition, but not for one that can no longer come true.
func (n *node) waitFor(ctx context.Context, what, name string, timeout time.Duration, check func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	err := wait.For(ctx, what, timeout, func(ctx context.Context) error {
		if service.Pid(n.dirs, n.Name, name) == 0 {
			cancel(fmt.Errorf("%s ended", name))
		}
		return check(ctx)
	})
	if err != nil {
		if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
			err = fmt.Errorf("%w: %w", cause, err)
		}
		return fmt.Errorf("%w; see %s", err, service.LogFile(n.dirs, n.Name, name))
	}
	return nil
}

func (n *node) kubectl(ctx context.Context, args ...string) (string, error) {
	return command.Output(ctx, append([]string{n.dirs.Bin("kubectl"), "--kubeconfig", n.dirs.Kubeconfig(n.Name)}, args...)...)
}

// client speaks to the API server as the administrator.
func (n *node) client() (*http.Client, error) {
	cert, err := tls.LoadX509KeyPair(n.ca.Cert("admin"), n.ca.Key("admin"))
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{RootCAs: n.ca.Pool(), Certificates: []tls.Certificate{cert}},
	}}, nil
}
