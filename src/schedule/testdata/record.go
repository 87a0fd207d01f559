// Records what the cron library of Kubernetes CronJob answers, as a table for the tests beside it:
//
//	go mod init record && go get github.com/robfig/cron/v3@v3.0.1 && go run record.go > cronjob.tsv
//
// Each line: zone, expression, a time, and the six times after it; or the expression and "refused".
package main

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata"

	"github.com/robfig/cron/v3"
)

func main() {
	specs := []string{
		"* * * * *", "*/15 * * * *", "7 * * * *", "5/20 * * * *", "0-59/20 * * * *", "*/40 * * * *",
		"10-30/7 * * * *", "0,1,2 * * * *", "30,0 9-17/4 * * *", "*/60 * * * *", "? ? ? ? ?",
		"0 0 1 * *", "0 0 31 * *", "0 0 29 2 *", "0 0 1 1 *", "0 12 1,15 * *", "0 0 1 JAN,jul *",
		"0 0 * * 0", "0 0 * * sun", "0 0 * * 1-5", "0 0 * * MON-fri", "0 0 * * 6", "0 0 * * 1/2",
		"0 0 13 * 5", "0 0 13 * FRI", "0 0 1-7 * 1", "0 0 */2 * 1", "0 0 */2 * *", "0 0 * * */2",
		"0 0 1-31 * 1", "0 0 */1 * 1", "0 0 13 * ?", "0 0 ? * 5", "0 0 10/10 * *", "0 0 *,5 * 2",
		"0 0 30 1-3 *", "5 4 */10 */3 1-5", "@hourly", "@daily", "@midnight",
		"@weekly", "@monthly", "@yearly", "@annually",
	}
	for _, spec := range specs {
		record("Etc/UTC", spec, "2026-11-20T10:15:00Z")
		record("Etc/UTC", spec, "2028-02-27T23:59:59Z")
		record("Asia/Kolkata", spec, "2026-12-31T18:00:00Z")
	}
	// Both changes of the clock, for expressions with more than one time a day.
	changing := []string{
		"* * * * *", "*/15 * * * *", "0 * * * *", "30 * * * *", "0 */2 * * *", "0 1,2,3 * * *",
		"15,45 2 * * *", "30 1-3 * * *", "0 2,14 * * *", "*/20 2 * * *",
	}
	for _, spec := range changing {
		record("Europe/Berlin", spec, "2026-03-28T23:50:00Z")
		record("Europe/Berlin", spec, "2026-10-24T23:50:00Z")
		record("America/New_York", spec, "2026-03-08T05:50:00Z")
		record("America/New_York", spec, "2026-11-01T04:50:00Z")
		record("America/Santiago", spec, "2026-09-06T02:50:00Z")
		record("America/Santiago", spec, "2026-04-05T01:50:00Z")
	}
	for _, spec := range []string{
		"", "*", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *",
		"* * * 0 *", "* * * 13 *", "* * * * 8", "-1 * * * *", "*/0 * * * *", "*/x * * * *",
		"5-1 * * * *", "1-2-3 * * * *", "1/2/3 * * * *", "a * * * *", "* * * foo *", "* * * * mond",
		"* * L * *", "* * 15W * *", "* * * * 5#2", "* * * * 5L", "@reboot", "@Hourly",
		"1.5 * * * *", "* * * * mon-", "99999999999999999999 * * * *",
	} {
		if _, err := cron.ParseStandard(spec); err == nil {
			panic(spec + " is not refused")
		}
		fmt.Printf("%s\trefused\n", spec)
	}
}

func record(zone, spec, from string) {
	schedule, err := cron.ParseStandard(spec)
	if err != nil {
		panic(err)
	}
	location, err := time.LoadLocation(zone)
	if err != nil {
		panic(err)
	}
	at, err := time.Parse(time.RFC3339, from)
	if err != nil {
		panic(err)
	}
	at = at.In(location)
	var next []string
	for range 6 {
		at = schedule.Next(at)
		next = append(next, at.UTC().Format(time.RFC3339))
	}
	fmt.Printf("%s\t%s\t%s\t%s\n", zone, spec, from, strings.Join(next, " "))
}
