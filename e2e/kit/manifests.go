package kit

import (
	"fmt"
	"strings"
)

// Bucket says where backups go.
type Bucket struct {
	Name, Prefix, Endpoint, Region, AccessKey, SecretKey string
	ReadOnly                                             bool
}

// BucketManifests are the Secret and the StorageLocation of a bucket, both named "dr-bucket".
func BucketManifests(namespace string, bucket Bucket) string {
	mode := "ReadWrite"
	if bucket.ReadOnly {
		mode = "ReadOnly"
	}
	return fmt.Sprintf(`apiVersion: v1
kind: Secret
metadata: {name: dr-bucket, namespace: %[1]s}
stringData:
  accessKeyId: %[5]q
  secretAccessKey: %[6]q
---
apiVersion: lifeboat.dev/v1alpha1
kind: StorageLocation
metadata: {name: dr-bucket, namespace: %[1]s}
spec:
  s3: {bucket: %[2]s, prefix: %[3]q, endpoint: %[4]q, region: %[8]s, forcePathStyle: true}
  credentials: {secretRef: {name: dr-bucket}}
  accessMode: %[7]s
`, namespace, bucket.Name, bucket.Prefix, bucket.Endpoint, bucket.AccessKey, bucket.SecretKey, mode, bucket.Region)
}

// Schedule describes a BackupSchedule of one database.
type Schedule struct {
	Namespace, Name, Every, InfluxURL, Database string
	Incremental                                 bool
	// Extra lines of the BackupSchedule's spec, indented by two.
	Extra string
}

// Manifest is the BackupSchedule.
func (s Schedule) Manifest() string {
	incremental := ""
	if s.Incremental {
		incremental = "\n          incremental: {overlap: 30s, fullEvery: 24h}"
	}
	text := fmt.Sprintf(`apiVersion: lifeboat.dev/v1alpha1
kind: BackupSchedule
metadata: {name: %[2]s, namespace: %[1]s}
spec:
  every: %[3]s
  template:
    spec:
      source:
        influxdb:
          url: %[4]s
          databases: [{name: %[5]q}]%[6]s
      storage: {name: dr-bucket}
`, s.Namespace, s.Name, s.Every, s.InfluxURL, s.Database, incremental)
	return text + s.Extra
}

// NamespaceManifest makes a namespace that admits only restricted pods.
func NamespaceManifest(name string) string {
	return strings.ReplaceAll(`apiVersion: v1
kind: Namespace
metadata:
  name: NAME
  labels: {pod-security.kubernetes.io/enforce: restricted}
---
`, "NAME", name)
}
