package store

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"lifeboat.dev/e2e/bed/layout"
)

// readerActions are all that the read-only account may do.
var readerActions = []string{
	"s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket", "s3:ListBucketVersions",
	"s3:GetBucketLocation", "s3:GetBucketVersioning",
}

// CreateBucket makes a bucket, unless it is there, that the writer may use and
// the reader may read.
func CreateBucket(ctx context.Context, name string, versioning bool) error {
	status, answer, err := do(ctx, layout.StoreRoot, http.MethodPut, "/"+name, "", nil)
	if err != nil {
		return fmt.Errorf("create bucket %s: %w", name, err)
	}
	if status != http.StatusOK && !strings.Contains(answer, "BucketAlreadyOwnedByYou") {
		return fmt.Errorf("create bucket %s: status %d: %s", name, status, answer)
	}
	policy, err := bucketPolicy(name)
	if err != nil {
		return err
	}
	if err := put(ctx, "/"+name, "policy=", policy); err != nil {
		return fmt.Errorf("set the policy of bucket %s: %w", name, err)
	}
	if !versioning {
		return nil
	}
	if err := put(ctx, "/"+name, "versioning=", []byte(
		`<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>Enabled</Status></VersioningConfiguration>`,
	)); err != nil {
		return fmt.Errorf("enable versioning of bucket %s: %w", name, err)
	}
	return nil
}

func bucketPolicy(bucket string) ([]byte, error) {
	type object = map[string]any
	resources := []string{"arn:aws:s3:::" + bucket, "arn:aws:s3:::" + bucket + "/*"}
	return json.Marshal(object{
		"Version": "2012-10-17",
		"Statement": []object{
			{
				"Effect": "Allow", "Principal": object{"AWS": []string{layout.StoreWriter.AccessKey}},
				"Action": "s3:*", "Resource": resources,
			},
			{
				"Effect": "Allow", "Principal": object{"AWS": []string{layout.StoreReader.AccessKey}},
				"Action": readerActions, "Resource": resources,
			},
		},
	})
}

func put(ctx context.Context, path, query string, body []byte) error {
	status, answer, err := do(ctx, layout.StoreRoot, http.MethodPut, path, query, body)
	if err == nil && status >= 300 {
		err = fmt.Errorf("status %d: %s", status, answer)
	}
	return err
}
