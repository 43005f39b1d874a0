//go:build ignore

// Makes schedules.jsonl with the parser that Kubernetes uses (robfig/cron 3.0.1), so that ours is judged by it:
//
//	cd tests/controlplane && go run ../../core/tests/golden/schedules.go > ../../core/tests/golden/schedules.jsonl
//
// An argument is the number of random schedules.
package main

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

type run struct {
	Zone  string   `json:"zone"`
	After string   `json:"after"`
	Next  []string `json:"next"`
}

type row struct {
	Schedule string `json:"schedule"`
	Valid    bool   `json:"valid"`
	Runs     []run  `json:"runs,omitempty"`
}

// Zones whose clocks change, but neither at midnight (robfig/cron then leaves the day out, or takes the day before for
// it) nor by or at parts of an hour (Lord Howe, Chatham: it then even answers with times before the one that was asked
// for). Zones whose rules changed lately are left out too: the databases of this program and of ours may be of different
// dates.
var zones = []string{
	"UTC", "Europe/Berlin", "Europe/London", "America/New_York", "America/Denver", "Asia/Kathmandu", "Asia/Tokyo",
	"Australia/Sydney", "Australia/Adelaide", "Pacific/Apia", "Europe/Lisbon", "Africa/Johannesburg",
}

var handPicked = []string{
	"", " ", "* * * *", "* * * * * *", "*****", "60 * * * *", "0 24 * * *", "0 0 0 * *", "0 0 32 * *", "0 0 * 0 *",
	"0 0 * 13 *", "0 0 * * 7", "0 0 * * -1", "0 0 L * *", "0 0 1W * *", "0 0 * * 5#1", "0 0 * * 5L",
	"0 0 * * MON-SUN", "0 0 * * SUN-MON", "0 0 * JAN-mar MON", "0 0 * * Monday", "1-2-3 * * * *", "*/0 * * * *",
	"*/2/3 * * * *", "-5 * * * *", "5- * * * *", "- * * * *", "/5 * * * *", "*/ * * * *", "5/ * * * *", "*5 * * * *",
	"5* * * * *", "** * * * *", "99999999999999999999 * * * *", "*/9223372036854775807 * * * *",
	"*/9223372036854775808 * * * *", "? ? ? ? ?", "5/15 * * * *", "5-10/15 * * * *", "*/61 * * * *", "*/1 * * * *",
	"0 0 31 2 *", "0 0 29 2 *", "0 0 31 2 1", "  0\t0 * *  0 ", "+5 007 * * *", "*/+5 * * * *", "*-5 * * * *",
	"*-5-6/20 * * * *", "?-x * * * *", ", * * * *", "1,,2 * * * *", ",1, * * * *", "0 0 , * *", "0 0 , * 1",
	"0 0 1,15 * 5", "0 0 */2 * 1", "0 0 */1 * 1", "0 0 1-31 * 1", "0 0 ?,5 * 1", "0 0 13 * FRI", "H * * * *",
	"0 0 * * fri,SAT", "0x1 * * * *", "1_0 * * * *", "1.5 * * * *", "٣ * * * *", "@yearly", "@annually",
	"@monthly", "@weekly", "@daily", "@midnight", "@hourly", "@Hourly", " @hourly", "@hourly ", "@reboot", "@every",
	"@every ", "@every 1s", "@every 1h30m", "@every 90s ", "@every 1d", "@every -5s", "@every 0", "@every 1.5h",
	"@every 999ms", "@every 1500ms", "@every  1s", "@every 1µs", "@every .5m", "@every 9999999h",
}

func pick[T any](r *rand.Rand, of []T) T { return of[r.Intn(len(of))] }

func number(r *rand.Rand, low, high int) string { return strconv.Itoa(low + r.Intn(high-low+1)) }

// part makes mostly legal parts of a field.
func part(r *rand.Rand, low, high int) string {
	switch r.Intn(9) {
	case 0, 1, 2:
		return number(r, low, high)
	case 3:
		return "*"
	case 4:
		return "*/" + number(r, 1, high)
	case 5:
		return number(r, low, high) + "/" + number(r, 1, high)
	case 6:
		a, b := low+r.Intn(high-low+1), low+r.Intn(high-low+1)
		if a > b && r.Intn(9) != 0 {
			a, b = b, a
		}
		return fmt.Sprintf("%d-%d", a, b)
	case 7:
		return fmt.Sprintf("%d-%d/%d", low, high-r.Intn(3), 1+r.Intn(5))
	default:
		return "?"
	}
}

func field(r *rand.Rand, low, high int, star float64) string {
	if r.Float64() < star {
		return "*"
	}
	parts := []string{part(r, low, high)}
	for r.Intn(3) == 0 {
		parts = append(parts, part(r, low, high))
	}
	return strings.Join(parts, ",")
}

func random(r *rand.Rand) string {
	schedule := []string{
		field(r, 0, 59, 0.1), field(r, 0, 23, 0.2), field(r, 1, 31, 0.5), field(r, 1, 12, 0.6), field(r, 0, 6, 0.5),
	}
	if r.Intn(20) == 0 {
		schedule[r.Intn(5)] = pick(r, []string{"7", "L", "60", "0", "mon", "dec", "5-", "1--2", "a", "H"})
	}
	return strings.Join(schedule, " ")
}

// after makes times near changes of clocks half of the time.
func after(r *rand.Rand, zone *time.Location) time.Time {
	begin := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	t := begin.Add(time.Duration(r.Intn(6*365*24*3600)) * time.Second)
	if r.Intn(2) == 0 {
		if _, end := t.In(zone).ZoneBounds(); !end.IsZero() {
			t = end.Add(time.Duration(r.Intn(8*3600)-5*3600) * time.Second)
		}
	}
	return t.UTC()
}

// parse treats a panic as Kubernetes does: as refused.
func parse(schedule string) (parsed cron.Schedule, ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	parsed, err := cron.ParseStandard(schedule)
	return parsed, err == nil
}

func main() {
	r := rand.New(rand.NewSource(1))
	count := 300
	if len(os.Args) > 1 {
		count, _ = strconv.Atoi(os.Args[1])
	}
	schedules := handPicked
	for range count {
		schedules = append(schedules, random(r))
	}
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	for _, schedule := range schedules {
		parsed, ok := parse(schedule)
		row := row{Schedule: schedule, Valid: ok}
		for i := 0; ok && i < 2; i++ {
			name := pick(r, zones)
			zone, err := time.LoadLocation(name)
			if err != nil {
				panic(err)
			}
			t := after(r, zone)
			run := run{Zone: name, After: t.Format(time.RFC3339), Next: []string{}}
			for range 3 {
				t = parsed.Next(t.In(zone))
				if t.IsZero() {
					break
				}
				run.Next = append(run.Next, t.UTC().Format(time.RFC3339))
			}
			row.Runs = append(row.Runs, run)
		}
		if err := out.Encode(row); err != nil {
			panic(err)
		}
	}
}
