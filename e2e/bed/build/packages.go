package build

import (
	"context"
	"fmt"
	"os"
	"os/exec"
)

// needed maps a Debian package to a program of it.
var needed = map[string]string{
	"containerd":                  "containerd",
	"runc":                        "runc",
	"containernetworking-plugins": "/usr/lib/cni/bridge",
	"iptables":                    "iptables",
	"conntrack":                   "conntrack",
	"iproute2":                    "ip",
	"util-linux":                  "nsenter",
	"mount":                       "mount",
	"buildah":                     "buildah",
	"kmod":                        "modprobe",
	"default-jdk-headless":        "javac",
	"maven":                       "mvn",
	"postgresql":                  "pg_ctlcluster",
}

// packages installs what is missing.
func packages(ctx context.Context) error {
	var missing []string
	for name, program := range needed {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if os.Getuid() != 0 {
		return fmt.Errorf("these Debian packages are missing, and only root can install them: %v", missing)
	}
	if err := watched(ctx, "updating the list of Debian packages", "/", "apt-get", "update"); err != nil {
		return err
	}
	// Without the recommended packages: those bring a firewall and services that nobody asked for.
	argv := append([]string{"apt-get", "install", "--yes", "--no-install-recommends"}, missing...)
	return watched(ctx, fmt.Sprintf("installing Debian packages %v", missing), "/", argv...)
}
