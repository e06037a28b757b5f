package main

import (
	"testing"
	"time"
)

func TestGuardsAreOfFunctionsThatThereAre(t *testing.T) {
	there := helmFunctions(time.Now)
	for _, name := range []string{"include", "tpl"} {
		there[name] = nil
	}
	for name := range guards {
		if _, ok := there[name]; !ok && name != "push" && name != "mustPush" {
			t.Errorf("%s is no function", name)
		}
	}
}

func TestAPlaceholderIsThatOfTheAgent(t *testing.T) {
	// as agent.values.placeholders.of("expr", "trunc", "a", "8") gives it
	if made := (expression{"trunc", []string{"a", "8"}}).placeholder(); made != "sGnT0kHblgJwsXpsgS4W6ZsYSnzROkK0tNgS" {
		t.Error(made)
	}
}

func TestMarksAreFoundHoweverDeep(t *testing.T) {
	marked := (expression{"b64enc", []string{"a"}}).placeholder()
	loop := map[string]any{}
	loop["self"] = loop
	for name, each := range map[string]struct {
		value    any
		expected bool
	}{
		"text": {marked, true}, "within": {[]any{map[string]any{"a": "x" + marked}}, true}, "a key": {map[string]any{marked: 1}, true},
		"bytes": {[]byte(marked), true}, "none": {map[string]any{"a": []any{1, "b", nil}}, false}, "a loop": {loop, true},
	} {
		if isMarkedBelow(each.value) != each.expected {
			t.Errorf("%s: %v", name, !each.expected)
		}
	}
}
