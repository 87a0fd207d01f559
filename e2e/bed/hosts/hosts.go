// Package hosts keeps the names that both clusters resolve.
package hosts

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sort"
	"strings"

	"lifeboat.dev/e2e/bed/layout"
)

// Set gives a name below layout.Domain an address.
func Set(dirs layout.Dirs, name, address string) error {
	return change(dirs, func(names map[string]string) { names[name+"."+layout.Domain] = address })
}

// Remove forgets a name.
func Remove(dirs layout.Dirs, name string) error {
	return change(dirs, func(names map[string]string) { delete(names, name+"."+layout.Domain) })
}

func change(dirs layout.Dirs, edit func(map[string]string)) error {
	path := dirs.Run("hosts")
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	names := map[string]string{}
	for _, line := range strings.Split(string(data), "\n") {
		if fields := strings.Fields(line); len(fields) == 2 {
			names[fields[1]] = fields[0]
		}
	}
	edit(names)
	var lines []string
	for name, address := range names {
		lines = append(lines, fmt.Sprintf("%s %s\n", address, name))
	}
	sort.Strings(lines)
	if err := os.MkdirAll(dirs.Run(), 0o755); err != nil {
		return err
	}
	// Renamed into place, so that CoreDNS never reads half a file.
	if err := os.WriteFile(path+".new", []byte(strings.Join(lines, "")), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
