package layout

// The one subnet that everything is plugged into. Nothing routes out of it.
const (
	// Hub is the network namespace with the bridge.
	Hub = "lb-net"
	// Bridge is the bridge inside Hub.
	Bridge = "br0"
	// Subnet is the subnet of the bridge.
	Subnet = "10.249.0.0/24"
	// PrefixLen is the prefix length of Subnet.
	PrefixLen = 24
	// HubAddress is the address of the bridge itself.
	HubAddress = "10.249.0.1"
	// HostAddress is the machine's own address, for kubectl, curl and the tests.
	HostAddress = "10.249.0.254"
	// HostLink is the machine's own network device for HostAddress.
	HostLink = "lb-host"
	// Domain is the domain of all names that the clusters resolve.
	Domain = "lifeboat.test"
)

// Cluster describes one Kubernetes cluster of one node.
type Cluster struct {
	Name        string
	Netns       string
	Address     string // of the node and of the API server
	PodCIDR     string
	ServiceCIDR string
	APIService  string // the address of the service "kubernetes"
	DNSService  string // the address of the service "kube-dns"
}

// Server is the URL of the API server.
func (c Cluster) Server() string { return "https://" + c.Address + ":6443" }

// ContainerdSocket is where the cluster's containerd listens.
func (c Cluster) ContainerdSocket() string { return RuntimeDir + "/" + c.Name + "/containerd.sock" }

// The two clusters.
var (
	Primary = Cluster{
		Name: "primary", Netns: "lb-primary", Address: "10.249.0.11",
		PodCIDR: "10.241.0.0/24", ServiceCIDR: "10.242.0.0/24",
		APIService: "10.242.0.1", DNSService: "10.242.0.10",
	}
	Standby = Cluster{
		Name: "standby", Netns: "lb-standby", Address: "10.249.0.12",
		PodCIDR: "10.243.0.0/24", ServiceCIDR: "10.244.0.0/24",
		APIService: "10.244.0.1", DNSService: "10.244.0.10",
	}
)

// Clusters are all clusters.
var Clusters = []Cluster{Primary, Standby}

// The object store.
const (
	StoreNetns   = "lb-store"
	StoreAddress = "10.249.0.20"
	StoreHost    = "s3." + Domain
	StoreHTTP    = "http://" + StoreAddress + ":7070"
	StoreHTTPS   = "https://" + StoreAddress + ":7443"
	StoreRegion  = "us-east-1"
	StoreBucket  = "dr-exports"
)

// Account is an access key of the object store.
type Account struct{ AccessKey, SecretKey string }

// The accounts of the object store.
var (
	// StoreRoot may do everything.
	StoreRoot = Account{"lifeboat-root", "lifeboat-root-secret"}
	// StoreWriter may read, write and delete objects.
	StoreWriter = Account{"lifeboat-rw", "lifeboat-rw-secret"}
	// StoreReader may list and read; everything else is refused.
	StoreReader = Account{"lifeboat-ro", "lifeboat-ro-secret"}
)

// Influx describes one InfluxDB server that is always there.
type Influx struct{ Name, Netns, Address string }

// The two InfluxDB servers that are always there.
var (
	InfluxPrimary = Influx{"influxdb-primary", "lb-influx-a", "10.249.0.31"}
	InfluxStandby = Influx{"influxdb-standby", "lb-influx-b", "10.249.0.32"}
)

// Extra InfluxDB servers get the addresses 10.249.0.41 to 10.249.0.99.
const (
	ExtraAddressPrefix = "10.249.0."
	FirstExtraAddress  = 41
	LastExtraAddress   = 99
)

// The administrator of an InfluxDB server that was started with --auth.
const (
	InfluxAdmin         = "admin"
	InfluxAdminPassword = "lifeboat-admin"
)
