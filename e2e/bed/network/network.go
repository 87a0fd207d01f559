// Package network makes the bed's network: namespaces plugged into one bridge,
// which the machine itself is plugged into as well and nothing leads out of.
package network

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"

	"lifeboat.dev/e2e/bed/command"
	"lifeboat.dev/e2e/bed/layout"
)

// prefix is what the names of the bed's namespaces begin with.
const prefix = "lb-"

// Path is the file that stands for a network namespace.
func Path(netns string) string { return "/run/netns/" + netns }

// EnsureHub makes the bridge and plugs the machine into it.
func EnsureHub(ctx context.Context) error {
	if err := ensureNetns(ctx, layout.Hub); err != nil {
		return err
	}
	if !hasLink(ctx, layout.Hub, layout.Bridge) {
		if err := steps(ctx,
			fmt.Sprintf("ip -n %s link add %s type bridge", layout.Hub, layout.Bridge),
			fmt.Sprintf("ip -n %s addr add %s/%d dev %s", layout.Hub, layout.HubAddress, layout.PrefixLen, layout.Bridge),
			fmt.Sprintf("ip -n %s link set %s up", layout.Hub, layout.Bridge),
		); err != nil {
			return err
		}
	}
	if command.Run(ctx, "ip", "link", "show", "dev", layout.HostLink) == nil {
		return nil
	}
	port := portOf(layout.HostAddress)
	return steps(ctx,
		fmt.Sprintf("ip link add %s address %s type veth peer name %s netns %s", layout.HostLink, hardwareAddress(layout.HostAddress), port, layout.Hub),
		fmt.Sprintf("ip -n %s link set %s master %s up", layout.Hub, port, layout.Bridge),
		fmt.Sprintf("ip addr add %s/%d dev %s", layout.HostAddress, layout.PrefixLen, layout.HostLink),
		fmt.Sprintf("ip link set %s up", layout.HostLink),
	)
}

// Ensure makes a network namespace with the given address on the bridge.
func Ensure(ctx context.Context, netns, address string) error {
	if err := ensureNetns(ctx, netns); err != nil {
		return err
	}
	if hasLink(ctx, netns, "eth0") {
		return nil
	}
	port := portOf(address)
	// A port without its other end may be left of a namespace that was only half removed.
	if hasLink(ctx, layout.Hub, port) {
		if err := steps(ctx, fmt.Sprintf("ip -n %s link del %s", layout.Hub, port)); err != nil {
			return err
		}
	}
	return steps(ctx,
		fmt.Sprintf("ip -n %s link add eth0 address %s type veth peer name %s netns %s", netns, hardwareAddress(address), port, layout.Hub),
		fmt.Sprintf("ip -n %s link set %s master %s up", layout.Hub, port, layout.Bridge),
		fmt.Sprintf("ip -n %s addr add %s/%d dev eth0", netns, address, layout.PrefixLen),
		fmt.Sprintf("ip -n %s link set eth0 up", netns),
	)
}

// Delete removes a network namespace. Its cable is pulled first, because the
// kernel keeps a namespace, and so its address, for as long as anything holds on to it.
func Delete(ctx context.Context, netns, address string) error {
	if port := portOf(address); exists(layout.Hub) && hasLink(ctx, layout.Hub, port) {
		if err := steps(ctx, fmt.Sprintf("ip -n %s link del %s", layout.Hub, port)); err != nil {
			return err
		}
	}
	if !exists(netns) {
		return nil
	}
	return steps(ctx, "ip netns del "+netns)
}

// DeleteAll removes everything that this package may have made.
func DeleteAll(ctx context.Context) error {
	if command.Run(ctx, "ip", "link", "show", "dev", layout.HostLink) == nil {
		if err := steps(ctx, "ip link del "+layout.HostLink); err != nil {
			return err
		}
	}
	for _, netns := range list() {
		if err := steps(ctx, "ip netns del "+netns); err != nil {
			return err
		}
	}
	return nil
}

// Left lists what is left of the bed's network.
func Left(ctx context.Context) []string {
	left := list()
	if command.Run(ctx, "ip", "link", "show", "dev", layout.HostLink) == nil {
		left = append(left, layout.HostLink)
	}
	return left
}

// In returns the command line that runs a program in a network namespace.
func In(netns string, argv ...string) []string {
	return append([]string{"nsenter", "--net=" + Path(netns)}, argv...)
}

func list() []string {
	entries, _ := os.ReadDir("/run/netns")
	var names []string
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), prefix) {
			names = append(names, entry.Name())
		}
	}
	return names
}

func ensureNetns(ctx context.Context, netns string) error {
	if exists(netns) {
		if command.Run(ctx, In(netns, "true")...) == nil {
			return nil
		}
		// A plain file without a namespace behind it, as a crash can leave it.
		if err := os.Remove(Path(netns)); err != nil {
			return err
		}
	}
	return steps(ctx, "ip netns add "+netns, fmt.Sprintf("ip -n %s link set lo up", netns))
}

func exists(netns string) bool {
	_, err := os.Stat(Path(netns))
	return err == nil
}

func hasLink(ctx context.Context, netns, link string) bool {
	return command.Run(ctx, "ip", "-n", netns, "link", "show", "dev", link) == nil
}

// portOf names the bridge's end of a cable. Names of devices may not be longer than
// 15 characters, so it is made of the last part of the address.
func portOf(address string) string {
	return "port" + address[strings.LastIndexByte(address, '.')+1:]
}

// hardwareAddress is always the same for an address. Otherwise the others would send
// to the old one for up to half a minute after a namespace was made anew.
func hardwareAddress(address string) string {
	ip := net.ParseIP(address).To4()
	return fmt.Sprintf("02:00:%02x:%02x:%02x:%02x", ip[0], ip[1], ip[2], ip[3])
}

func steps(ctx context.Context, lines ...string) error {
	for _, line := range lines {
		if err := command.Run(ctx, strings.Fields(line)...); err != nil {
			return err
		}
	}
	return nil
}
