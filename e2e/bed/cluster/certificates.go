package cluster

import (
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"

	"lifeboat.dev/e2e/bed/layout"
	"lifeboat.dev/e2e/bed/pki"
)

// users are the clients of the API server, each with a kubeconfig of its own.
func users(c layout.Cluster) map[string]pkix.Name {
	return map[string]pkix.Name{
		"admin":      {CommonName: "admin", Organization: []string{"system:masters"}},
		"controller": {CommonName: "system:kube-controller-manager"},
		"scheduler":  {CommonName: "system:kube-scheduler"},
		"proxy":      {CommonName: "system:kube-proxy"},
		"coredns":    {CommonName: "system:coredns"},
		"node":       {CommonName: "system:node:" + c.Name, Organization: []string{"system:nodes"}},
	}
}

func (n *node) certificates() error {
	ca, err := pki.Open(n.run("pki"), "lifeboat-"+n.Name)
	if err != nil {
		return err
	}
	n.ca = ca
	if err := ca.SigningKey("service-accounts"); err != nil {
		return err
	}
	if err := ca.Issue("apiserver", pkix.Name{CommonName: "kube-apiserver"},
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
		n.Name+"."+layout.Domain, "localhost", "127.0.0.1", n.Address, n.APIService); err != nil {
		return err
	}
	if err := ca.Issue("apiserver-to-kubelet", pkix.Name{
		CommonName: "kube-apiserver-kubelet-client", Organization: []string{"system:masters"},
	}); err != nil {
		return err
	}
	for user, subject := range users(n.Cluster) {
		// The node's certificate is also the one that kubelet serves with.
		if err := ca.Issue(user, subject, n.Name, n.Address); err != nil {
			return err
		}
		if err := n.kubeconfig(user, n.run("pki", user+".kubeconfig")); err != nil {
			return err
		}
	}
	return n.kubeconfig("admin", n.dirs.Kubeconfig(n.Name))
}

// kubeconfig writes a kubeconfig that needs no other file, so that it can be copied.
func (n *node) kubeconfig(user, path string) error {
	var embedded [3]string
	for i, file := range []string{n.ca.Cert("ca"), n.ca.Cert(user), n.ca.Key(user)} {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		embedded[i] = base64.StdEncoding.EncodeToString(data)
	}
	type object = map[string]any
	data, err := json.MarshalIndent(object{
		"apiVersion":      "v1",
		"kind":            "Config",
		"current-context": "lifeboat-" + n.Name,
		"clusters": []object{{"name": n.Name, "cluster": object{
			"server": n.Server(), "certificate-authority-data": embedded[0]}}},
		"users": []object{{"name": n.Name + "-" + user, "user": object{
			"client-certificate-data": embedded[1], "client-key-data": embedded[2]}}},
		"contexts": []object{{"name": "lifeboat-" + n.Name, "context": object{
			"cluster": n.Name, "user": n.Name + "-" + user}}},
	}, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("write kubeconfig: %w", err)
	}
	return nil
}
