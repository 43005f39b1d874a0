package main

import (
	"bufio"
	stdjson "encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

// Longest line that is read: an object's status may have 64 KiB, its spec as much.
const longestObject = 4 << 20

// A judgement is what tools that wait for an object think of it.
type judgement struct {
	Kstatus        string `json:"kstatus"`
	KstatusMessage string `json:"kstatusMessage"`
	Argo           string `json:"argo"`
	ArgoMessage    string `json:"argoMessage"`
}

// oracleCommand asks the programs that users wait with: kstatus (Flux, Helm 4, kpt) and an Argo CD health script, run by
// the interpreter that Argo CD runs it with.
func oracleCommand() *cobra.Command {
	var script string
	command := &cobra.Command{
		Use:   "oracle --lua FILE",
		Short: "Says what kstatus and an Argo CD health script think of objects: one JSON object per line in, one judgement per line out",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			text, err := os.ReadFile(script)
			if err != nil {
				return err
			}
			return judgeAll(command.InOrStdin(), command.OutOrStdout(), string(text))
		},
	}
	command.Flags().StringVar(&script, "lua", "", "the health script")
	_ = command.MarkFlagRequired("lua")
	return command
}

func judgeAll(in io.Reader, out io.Writer, script string) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, longestObject)
	answers := stdjson.NewEncoder(out)
	for lines.Scan() {
		var object map[string]any
		if err := json.Unmarshal(lines.Bytes(), &object); err != nil {
			return err
		}
		verdict, err := judge(object, script)
		if err != nil {
			return err
		}
		if err := answers.Encode(verdict); err != nil {
			return err
		}
	}
	return lines.Err()
}

func judge(object map[string]any, script string) (*judgement, error) {
	result, err := status.Compute(&unstructured.Unstructured{Object: object})
	if err != nil {
		return nil, fmt.Errorf("kstatus: %w", err)
	}
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for _, library := range []struct {
		name string
		open lua.LGFunction
	}{{lua.LoadLibName, lua.OpenPackage}, {lua.BaseLibName, lua.OpenBase}, {lua.TabLibName, lua.OpenTable}, {lua.StringLibName, lua.OpenString}} {
		err := state.CallByParam(lua.P{Fn: state.NewFunction(library.open), NRet: 0, Protect: true}, lua.LString(library.name))
		if err != nil {
			return nil, err
		}
	}
	state.SetGlobal("obj", toLua(state, object))
	if err := state.DoString(script); err != nil {
		return nil, fmt.Errorf("health script: %w", err)
	}
	health, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		return nil, fmt.Errorf("health script returned %s, not a table", state.Get(-1).Type())
	}
	return &judgement{
		Kstatus:        result.Status.String(),
		KstatusMessage: result.Message,
		Argo:           lua.LVAsString(health.RawGetString("status")),
		ArgoMessage:    lua.LVAsString(health.RawGetString("message")),
	}, nil
}

// toLua gives JSON the shape that Argo CD gives it: objects and lists are tables, numbers are numbers.
func toLua(state *lua.LState, value any) lua.LValue {
	switch value := value.(type) {
	case map[string]any:
		table := state.NewTable()
		for key, item := range value {
			table.RawSetString(key, toLua(state, item))
		}
		return table
	case []any:
		table := state.NewTable()
		for _, item := range value {
			table.Append(toLua(state, item))
		}
		return table
	case string:
		return lua.LString(value)
	case float64:
		return lua.LNumber(value)
	case int64:
		return lua.LNumber(value)
	case bool:
		return lua.LBool(value)
	default:
		return lua.LNil
	}
}
