package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
)

// Archive writes a docker archive with an image that holds one static binary.
func Archive(path, name, binary string) error {
	program, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	var layer bytes.Buffer
	if err := tarOf(&layer, entry{"main", program, 0o755}); err != nil {
		return err
	}
	return write(path, name, layer.Bytes(), map[string]any{"Entrypoint": []string{"/main"}, "User": "65532:65532"})
}

// write writes a docker archive with an image of one layer.
func write(path, name string, layer []byte, settings map[string]any) error {
	type object = map[string]any
	config, err := json.Marshal(object{
		"architecture": runtime.GOARCH,
		"os":           "linux",
		"config":       settings,
		"rootfs":       object{"type": "layers", "diff_ids": []string{"sha256:" + digest(layer)}},
	})
	if err != nil {
		return err
	}
	configName := digest(config) + ".json"
	manifest, err := json.Marshal([]object{{
		"Config": configName, "RepoTags": []string{name}, "Layers": []string{"layer.tar"},
	}})
	if err != nil {
		return err
	}
	var archive bytes.Buffer
	if err := tarOf(&archive,
		entry{"layer.tar", layer, 0o644},
		entry{configName, config, 0o644},
		entry{"manifest.json", manifest, 0o644},
	); err != nil {
		return err
	}
	if err := os.WriteFile(path, archive.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write image %s: %w", name, err)
	}
	return nil
}

type entry struct {
	name string
	data []byte
	mode int64
}

func tarOf(out *bytes.Buffer, entries ...entry) error {
	writer := tar.NewWriter(out)
	for _, e := range entries {
		header := &tar.Header{Name: e.name, Mode: e.mode, Size: int64(len(e.data)), Typeflag: tar.TypeReg}
		if err := writer.WriteHeader(header); err != nil {
			return err
		}
		if _, err := writer.Write(e.data); err != nil {
			return err
		}
	}
	return writer.Close()
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
