package image

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// library is a path in what ldd says of a program.
var library = regexp.MustCompile(`(?m)(?:=> |^\s*)(/\S+) \(0x`)

// Tools writes a docker archive with an image that holds programs of this machine, each in /bin, and
// the libraries that they need: a vendor's image as the tests need it, without a registry.
func Tools(path, name string, programs ...string) error {
	files := map[string]string{}
	for _, program := range programs {
		files["bin/"+filepath.Base(program)] = program
		// ldd fails for a static program, which needs nothing.
		out, _ := exec.Command("ldd", program).Output()
		for _, found := range library.FindAllStringSubmatch(string(out), -1) {
			files[strings.TrimPrefix(found[1], "/")] = found[1]
		}
	}
	var entries []entry
	for to, from := range files {
		data, err := os.ReadFile(from)
		if err != nil {
			return fmt.Errorf("image %s: %w", name, err)
		}
		entries = append(entries, entry{to, data, 0o755})
	}
	var layer bytes.Buffer
	if err := tarOf(&layer, entries...); err != nil {
		return err
	}
	return write(path, name, layer.Bytes(), map[string]any{"Env": []string{"PATH=/bin"}})
}
