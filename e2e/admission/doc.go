// Package admission tests what the API server takes and refuses: every rule of the definitions in
// crds/ on a real API server, the samples, and the kustomizations in config/.
package admission
