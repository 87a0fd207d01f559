package network

import "testing"

func TestNamesAndHardwareAddressesFollowFromTheAddress(t *testing.T) {
	if got := portOf("10.249.0.254"); got != "port254" {
		t.Errorf("port: got %q", got)
	}
	if got := hardwareAddress("10.249.0.11"); got != "02:00:0a:f9:00:0b" {
		t.Errorf("hardware address: got %q", got)
	}
}
