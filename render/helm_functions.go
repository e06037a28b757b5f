package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"text/template"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/Masterminds/sprig/v3"
	"sigs.k8s.io/yaml"
	goyaml "sigs.k8s.io/yaml/goyaml.v3"
)

// helmFunctions are those of sprig, Helm's own and Go's, without any guard. What needs a rendering is added there.
func helmFunctions(now func() time.Time) template.FuncMap {
	made := sprig.TxtFuncMap()
	delete(made, "env")
	delete(made, "expandenv")
	for name, each := range map[string]any{
		"getHostByName": func(string) string { return "" },
		"now":           now,
		"lookup":        func(string, string, string, string) map[string]any { return map[string]any{} },
		"required":      required,
		"fail":          func(message string) (string, error) { return "", errors.New(message) },

		"toYaml":        func(value any) string { return orNothing(asYAML(value)) },
		"mustToYaml":    asYAML,
		"toYamlPretty":  func(value any) string { return orNothing(asIndentedYAML(value)) },
		"toToml":        func(value any) string { return orItsError(asTOML(value)) },
		"mustToToml":    asTOML,
		"toJson":        func(value any) string { return orNothing(asJSON(value)) },
		"mustToJson":    asJSON,
		"fromYaml":      func(text string) map[string]any { return orErrorMap(readYAML[map[string]any](text)) },
		"fromYamlArray": func(text string) []any { return orErrorList(readYAML[[]any](text)) },
		"fromJson":      func(text string) map[string]any { return orErrorMap(readJSON[map[string]any](text)) },
		"fromJsonArray": func(text string) []any { return orErrorList(readJSON[[]any](text)) },
		"fromToml":      func(text string) map[string]any { return orErrorMap(readTOML(text)) },

		"print": fmt.Sprint, "printf": fmt.Sprintf, "println": fmt.Sprintln,
		"html": template.HTMLEscaper, "js": template.JSEscaper, "urlquery": template.URLQueryEscaper,
	} {
		made[name] = each
	}
	for _, name := range []string{"eq", "ne", "lt", "le", "gt", "ge", "len", "index", "not", "call"} {
		made[name] = func(args ...any) (any, error) { return ofTemplates(name, args) }
	}
	for name, each := range durationFunctions() {
		made[name] = each
	}
	for name, each := range certificateFunctions() {
		made[name] = each
	}
	return made
}

var builtins sync.Map

// ofTemplates is what a function of text/template gives, which has no other door to them than a template.
func ofTemplates(name string, args []any) (any, error) {
	key := fmt.Sprintf("%s %d", name, len(args))
	found, ok := builtins.Load(key)
	if !ok {
		var text strings.Builder
		for at := range args {
			fmt.Fprintf(&text, " (index .Args %d)", at)
		}
		made, err := template.New(name).Parse("{{.Give (" + name + text.String() + ")}}")
		if err != nil {
			return nil, err
		}
		found, _ = builtins.LoadOrStore(key, made)
	}
	asked := &builtinCall{Args: args}
	if err := found.(*template.Template).Execute(&strings.Builder{}, asked); err != nil {
		var failed template.ExecError
		if errors.As(err, &failed) {
			if _, said, ok := strings.Cut(err.Error(), "error calling "+name+": "); ok {
				return nil, errors.New(said)
			}
		}
		return nil, err
	}
	return asked.given, nil
}

type builtinCall struct {
	Args  []any
	given any
}

// Give takes the result.
func (c *builtinCall) Give(value any) string {
	c.given = value
	return ""
}

func required(message string, value any) (any, error) {
	if text, ok := value.(string); value == nil || ok && text == "" {
		return value, errors.New(message)
	}
	return value, nil
}

func orNothing(text string, err error) string {
	if err != nil {
		return ""
	}
	return text
}

func orItsError(text string, err error) string {
	if err != nil {
		return err.Error()
	}
	return text
}

func orErrorMap(value map[string]any, err error) map[string]any {
	if err != nil {
		if value == nil {
			value = map[string]any{}
		}
		value["Error"] = err.Error()
	}
	return value
}

func orErrorList(value []any, err error) []any {
	if err != nil {
		return []any{err.Error()}
	}
	return value
}

func asYAML(value any) (string, error) {
	text, err := yaml.Marshal(value)
	return strings.TrimSuffix(string(text), "\n"), err
}

func asIndentedYAML(value any) (string, error) {
	var text bytes.Buffer
	encoder := goyaml.NewEncoder(&text)
	encoder.SetIndent(2)
	err := encoder.Encode(value)
	return strings.TrimSuffix(text.String(), "\n"), err
}

func asJSON(value any) (string, error) {
	text, err := json.Marshal(value)
	return string(text), err
}

func asTOML(value any) (string, error) {
	var text bytes.Buffer
	err := toml.NewEncoder(&text).Encode(value)
	return text.String(), err
}

var errAliases = errors.New("aliases unfold to more than a renderer takes")

func readYAML[T map[string]any | []any](text string) (T, error) {
	made := reflect.New(reflect.TypeFor[T]())
	if made.Elem().Kind() == reflect.Map {
		made.Elem().Set(reflect.MakeMap(reflect.TypeFor[T]()))
	} else {
		made.Elem().Set(reflect.MakeSlice(reflect.TypeFor[T](), 0, 0))
	}
	if unfolded([]byte(text)) > mostUnfolded {
		return made.Elem().Interface().(T), errAliases
	}
	err := yaml.Unmarshal([]byte(text), made.Interface())
	return made.Elem().Interface().(T), err
}

func readJSON[T map[string]any | []any](text string) (T, error) {
	made := reflect.New(reflect.TypeFor[T]())
	if made.Elem().Kind() == reflect.Map {
		made.Elem().Set(reflect.MakeMap(reflect.TypeFor[T]()))
	} else {
		made.Elem().Set(reflect.MakeSlice(reflect.TypeFor[T](), 0, 0))
	}
	err := json.Unmarshal([]byte(text), made.Interface())
	return made.Elem().Interface().(T), err
}

func readTOML(text string) (map[string]any, error) {
	made := map[string]any{}
	return made, toml.Unmarshal([]byte(text), &made)
}
