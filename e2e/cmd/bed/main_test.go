package main

import (
	"flag"
	"io"
	"slices"
	"testing"
)

func TestFlagsMayStandBehindArguments(t *testing.T) {
	flags := flag.NewFlagSet("test", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	auth := flags.Bool("auth", false, "")
	positional, err := parse(flags, []string{"name", "--auth", "more"})
	if err != nil || !*auth || !slices.Equal(positional, []string{"name", "more"}) {
		t.Fatalf("got %v, auth %t, error %v", positional, *auth, err)
	}
}

func TestTheLongerCommandWins(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
		rest int
	}{
		{[]string{"start", "influxdb-primary"}, "start", 1},
		{[]string{"influx", "start", "other"}, "influx start", 1},
	} {
		chosen, rest, err := choose(test.args)
		if err != nil || chosen.name != test.want || len(rest) != test.rest {
			t.Errorf("%v: got %q with %v, error %v", test.args, chosen.name, rest, err)
		}
	}
	if _, _, err := choose([]string{"nonsense"}); err == nil {
		t.Error("an unknown command was found")
	}
}

func TestEveryChangingCommandExists(t *testing.T) {
	for name := range changing {
		if !slices.ContainsFunc(commands, func(a action) bool { return a.name == name }) {
			t.Errorf("there is no command %q to lock", name)
		}
	}
}
