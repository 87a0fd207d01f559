package emqx

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// contents is what an archive holds.
type contents struct {
	version, edition string
	configuration    string
	tables           map[string]*table
}

// What the server says of archives that it refuses.
var (
	errCut     = errors.New("Unexpected end of file")
	errRenamed = errors.New("invalid backup archive content: all files in the archive must be under <backup name> directory")
	errNoMeta  = errors.New("invalid backup archive file: missing META.hocon")
	errEdition = errors.New("importing EMQX Enterprise data backup to EMQX is not allowed")
	metaLine   = regexp.MustCompile(`(?m)^(edition|version)\s*=\s*"?([^"\n]+)"?\s*$`)
)

// read takes an archive apart, in the order in which the server finds fault with it.
func read(name string, packed []byte) (*contents, error) {
	base := strings.TrimSuffix(name, ".tar.gz")
	unpacked, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, errCut
	}
	files := map[string][]byte{}
	renamed := false
	for entries := tar.NewReader(unpacked); ; {
		header, err := entries.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, errCut
		}
		content, err := io.ReadAll(entries)
		if err != nil {
			return nil, errCut
		}
		inside, ok := strings.CutPrefix(header.Name, base+"/")
		renamed = renamed || !ok
		files[inside] = content
	}
	if renamed {
		return nil, errRenamed
	}
	meta, ok := files["META.hocon"]
	if !ok {
		return nil, errNoMeta
	}
	found := &contents{configuration: string(files["cluster.hocon"]), tables: map[string]*table{}}
	for _, line := range metaLine.FindAllStringSubmatch(string(meta), -1) {
		if line[1] == "version" {
			found.version = line[2]
		} else {
			found.edition = line[2]
		}
	}
	for path, content := range files {
		if name, ok := strings.CutPrefix(path, "mnesia/"); ok {
			if found.tables[name], err = parseTable(name, content); err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}

// allowed is why a server of this version and edition does not import it.
func (c *contents) allowed(version, edition string) error {
	if c.edition == "ee" && edition == "Opensource" {
		return errEdition
	}
	major, minor := numbers(c.version)
	ownMajor, ownMinor := numbers(version)
	// The vendor's own rule, faults and all: 5.10 does not go into 6.0.
	if major > ownMajor || minor > ownMinor {
		return fmt.Errorf("[warning] Backup version %q is newer than EMQX version %q, import is not allowed.\n", c.version, version)
	}
	return nil
}

func numbers(version string) (major, minor int) {
	parts := strings.SplitN(version, ".", 3)
	major, _ = strconv.Atoi(parts[0])
	if len(parts) > 1 {
		minor, _ = strconv.Atoi(parts[1])
	}
	return major, minor
}

// order is that of the tables in an archive.
var order = []string{"emqx_admin", "emqx_psk", "emqx_app", "emqx_authn_mnesia", "emqx_authn_scram_mnesia", "emqx_acl", "emqx_banned"}

// pack makes an archive. Its entries lie under base, which is the archive's name unless a fault says
// otherwise.
func pack(base string, c *contents) []byte {
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	files := tar.NewWriter(zip)
	add := func(name string, content []byte) {
		// Writes to a buffer do not fail.
		_ = files.WriteHeader(&tar.Header{Name: base + "/" + name, Mode: 0o644, Size: int64(len(content)), Format: tar.FormatUSTAR})
		_, _ = files.Write(content)
	}
	add("META.hocon", fmt.Appendf(nil, "edition = %s\nversion = %q\n", c.edition, c.version))
	add("cluster.hocon", []byte(c.configuration))
	for _, name := range order {
		if t := c.tables[name]; t != nil {
			add("mnesia/"+name, t.log())
		}
	}
	_ = files.Close()
	_ = zip.Close()
	return packed.Bytes()
}
