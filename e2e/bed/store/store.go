// Package store runs the bed's S3 object store.
package store

import (
	"context"
	"crypto/tls"
	"crypto/x509/pkix"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"lifeboat.dev/e2e/bed/command"
	"lifeboat.dev/e2e/bed/hosts"
	"lifeboat.dev/e2e/bed/layout"
	"lifeboat.dev/e2e/bed/network"
	"lifeboat.dev/e2e/bed/pki"
	"lifeboat.dev/e2e/bed/service"
	"lifeboat.dev/e2e/bed/wait"
)

// Group is the group of the store's services.
const Group = "store"

// The gateway serves either http or https, so two of them share the same data.
const (
	plain  = "s3-http"
	secure = "s3-https"
)

// Services are the names of the store's services.
var Services = []string{plain, secure}

// Start brings the store up, with its accounts and its bucket.
func Start(ctx context.Context, dirs layout.Dirs) error {
	if err := network.Ensure(ctx, layout.StoreNetns, layout.StoreAddress); err != nil {
		return err
	}
	for _, dir := range []string{"data", "versions", "accounts"} {
		if err := os.MkdirAll(dirs.Run("store", dir), 0o755); err != nil {
			return err
		}
	}
	if err := hosts.Set(dirs, strings.TrimSuffix(layout.StoreHost, "."+layout.Domain), layout.StoreAddress); err != nil {
		return err
	}
	for _, name := range Services {
		if err := StartService(ctx, dirs, name); err != nil {
			return err
		}
	}
	for _, account := range []layout.Account{layout.StoreWriter, layout.StoreReader} {
		if err := createAccount(ctx, dirs, account); err != nil {
			return err
		}
	}
	return CreateBucket(ctx, layout.StoreBucket, false)
}

// StartService starts one of the two gateways.
func StartService(ctx context.Context, dirs layout.Dirs, name string) error {
	ca, err := pki.Open(dirs.Run("store", "pki"), "lifeboat-store")
	if err != nil {
		return err
	}
	if err := ca.Issue("server", pkix.Name{CommonName: layout.StoreHost}, layout.StoreHost, layout.StoreAddress); err != nil {
		return err
	}
	address, options := layout.StoreHTTP, []string{}
	if name == secure {
		address, options = layout.StoreHTTPS, []string{"--cert", ca.Cert("server"), "--key", ca.Key("server")}
	}
	_, port, _ := strings.Cut(address, "://")
	argv := append([]string{dirs.Bin("versitygw"),
		"--port", port,
		"--region", layout.StoreRegion,
		"--health", "/health",
		"--iam-dir", dirs.Run("store", "accounts"),
		// An account made through one gateway must work at the other at once.
		"--iam-cache-disable",
		"--quiet",
	}, options...)
	argv = append(argv, "posix", "--versioning-dir", dirs.Run("store", "versions"), dirs.Run("store", "data"))
	if err := service.Start(dirs, service.Service{
		Group: Group, Name: name, Netns: layout.StoreNetns, Dir: dirs.Run("store"), Argv: argv,
		Env: []string{"ROOT_ACCESS_KEY=" + layout.StoreRoot.AccessKey, "ROOT_SECRET_KEY=" + layout.StoreRoot.SecretKey},
	}); err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{RootCAs: ca.Pool()},
	}}
	if err := wait.For(ctx, name+" ready", 30*time.Second, wait.HTTP(client, address+"/health")); err != nil {
		return fmt.Errorf("%w; see %s", err, service.LogFile(dirs, Group, name))
	}
	return nil
}

func createAccount(ctx context.Context, dirs layout.Dirs, account layout.Account) error {
	admin := []string{dirs.Bin("versitygw"), "admin",
		"--access", layout.StoreRoot.AccessKey, "--secret", layout.StoreRoot.SecretKey,
		"--region", layout.StoreRegion, "--endpoint-url", layout.StoreHTTP}
	known, err := command.Output(ctx, append(admin, "list-users")...)
	if err != nil {
		return err
	}
	if strings.Contains(known, account.AccessKey) {
		return nil
	}
	return command.Run(ctx, append(admin, "create-user",
		"--access", account.AccessKey, "--secret", account.SecretKey, "--role", "user")...)
}
