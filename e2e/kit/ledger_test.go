package kit

import (
	"encoding/json"
	"testing"
	"time"
)

// What was acknowledged before must be there whole; what was under way may be there in part, and
// never changed.
func TestLedgerCheck(t *testing.T) {
	ledger := &Ledger{Start: time.Unix(1_000_000_000, 0), Step: 2 * time.Millisecond}
	const n, must = 10, 11
	whole := func() map[string]any {
		return map[string]any{
			"time": json.Number("1000000000020000000"), "value": json.Number("1.0909090909090908"), "seq": json.Number("10"),
			"ok": true, "note": `row 10, "quoted"`,
		}
	}
	for _, test := range []struct {
		name   string
		change func(map[string]any)
		must   int
		holds  bool
	}{
		{"whole", func(map[string]any) {}, must, true},
		{"whole and under way", func(map[string]any) {}, n, true},
		{"a field is missing", func(f map[string]any) { f["note"] = nil }, must, false},
		{"a field is missing and it was under way", func(f map[string]any) { f["note"] = nil }, n, true},
		{"its number is missing and it was under way", func(f map[string]any) { f["seq"] = nil }, n, true},
		{"changed", func(f map[string]any) { f["note"] = "row 11" }, must, false},
		{"changed and under way", func(f map[string]any) { f["value"] = json.Number("1.5") }, n, false},
		{"at a time that nobody wrote", func(f map[string]any) { f["time"] = json.Number("1000000000020000001") }, n, false},
		{"before all rows", func(f map[string]any) { f["time"] = json.Number("999999999998000000") }, n, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			fields := whole()
			test.change(fields)
			at, values := map[string]int{}, []any{}
			for column, value := range fields {
				at[column] = len(values)
				values = append(values, value)
			}
			got, err := ledger.check(row{map[string]string{"device": "d010", "site": "plant 1"}, at, values}, test.must)
			if (err == nil) != test.holds || (err == nil && got != n) {
				t.Fatalf("row %d, %v", got, err)
			}
		})
	}
}
