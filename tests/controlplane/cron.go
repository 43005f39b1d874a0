package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
	"github.com/spf13/cobra"
)

// cronQuestion is one line of input.
type cronQuestion struct {
	Schedule string `json:"schedule"`
	Zone     string `json:"zone"`
	After    string `json:"after"`
	Count    int    `json:"count"`
}

// cronAnswer is one line of output. A time that Next does not find within five years ends the list.
type cronAnswer struct {
	Valid bool     `json:"valid"`
	Next  []string `json:"next"`
}

func cronCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "cron",
		Short: "Judge schedules as Kubernetes does",
		Long: `Judge schedules with the parser that Kubernetes uses (robfig/cron), so that another parser can be compared with it.

Reads lines of JSON: {"schedule": "0 3 * * *", "zone": "Europe/Berlin", "after": "2026-01-01T00:00:00Z", "count": 3}
Prints a line of JSON for each: {"valid": true, "next": ["2026-01-01T02:00:00Z", …]}`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return answerCron(cmd.InOrStdin(), cmd.OutOrStdout()) },
	}
}

func answerCron(in io.Reader, out io.Writer) error {
	questions := json.NewDecoder(bufio.NewReader(in))
	buffered := bufio.NewWriter(out)
	answers := json.NewEncoder(buffered)
	for {
		var question cronQuestion
		if err := questions.Decode(&question); errors.Is(err, io.EOF) {
			return buffered.Flush()
		} else if err != nil {
			return fmt.Errorf("read a question: %w", err)
		}
		answer, err := question.answer()
		if err != nil {
			return fmt.Errorf("%q: %w", question.Schedule, err)
		}
		if err := answers.Encode(answer); err != nil {
			return fmt.Errorf("write an answer: %w", err)
		}
	}
}

func (q cronQuestion) answer() (cronAnswer, error) {
	answer := cronAnswer{Next: []string{}}
	zone, err := time.LoadLocation(q.Zone)
	if err != nil {
		return answer, err
	}
	t, err := time.Parse(time.RFC3339, q.After)
	if err != nil {
		return answer, err
	}
	schedule, ok := parseCron(q.Schedule)
	answer.Valid = ok
	for range q.Count {
		if !ok {
			break
		}
		if t = schedule.Next(t.In(zone)); t.IsZero() {
			break
		}
		answer.Next = append(answer.Next, t.UTC().Format(time.RFC3339))
	}
	return answer, nil
}

// parseCron refuses TZ and takes a panic for a refusal, as the API server does (pkg/apis/batch/validation).
func parseCron(text string) (schedule cron.Schedule, ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	if strings.Contains(text, "TZ") {
		return nil, false
	}
	schedule, err := cron.ParseStandard(text)
	return schedule, err == nil
}
