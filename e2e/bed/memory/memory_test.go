package memory

import "testing"

// The smaller of two bounds is the nearer one.
func TestWithoutCache(t *testing.T) {
	for _, test := range []struct {
		peak Peak
		want int64
	}{
		{Peak{Resident: 60, Kernel: 3, WithCache: 50}, 50},
		{Peak{Resident: 40, Kernel: 3, WithCache: 900}, 43},
	} {
		if got := test.peak.WithoutCache(); got != test.want {
			t.Errorf("%+v: %d and not %d", test.peak, got, test.want)
		}
	}
}
