package main

import (
	"strings"
	"testing"
)

func TestAddressesAreRemoteAndPathsAreNot(t *testing.T) {
	for text, expected := range map[string]bool{
		"https://example.com/a": true, "HTTP://example.com": true, "git::https://example.com/a": true, "git@example.com:a/b": true,
		"github.com/a/b": true, "GitHub.com:a/b": true, "file:///etc": true, "ssh://git@example.com/a": true, "key=https://example.com": true,
		"../base": false, "a.yaml": false, "dir/user@host": false, "A=b": false, "a:b": false, "githubXcom/a": false,
	} {
		if isRemote(text) != expected {
			t.Errorf("%s: remote is %v", text, !expected)
		}
	}
}

func TestAliasesAreCountedAsOftenAsTheyAreMet(t *testing.T) {
	for text, expected := range map[string]int{
		"a: 1\nb: '*a & b'\n":           0,
		"a: &a [x, y]\nb: [*a, *a]\n":   14,
		"a: 1\n---\na: &a [x]\nb: *a\n": 12,
		"a: &a {b: *a}\n":               mostUnfolded + 5,
		"a: |\n  b: &b [x]\n  c: *b\n":  12,
		`a: "b: \x26b [x]\nc: \u002ab"`: 12,
		`{"a": "b: &b [x]\nc:\n *b"}`:   12,
	} {
		if found := unfolded([]byte(text)); found != expected {
			t.Errorf("%q: %d values, not %d", text, found, expected)
		}
	}
}

func TestALineOfAnEnvironmentFileWithoutAValueIsFound(t *testing.T) {
	for text, expected := range map[string]int{"A=1\n": 0, "# A\n\nB\n": 3, "A=\n  C\n": 2, "\ufeffA=1\nB": 2} {
		if found := lineWithoutValue([]byte(text)); found != expected {
			t.Errorf("%q: line %d, not %d", text, found, expected)
		}
	}
}

func TestTreesAreKeptUntilThereIsNoRoom(t *testing.T) {
	var kept trees
	big := strings.Repeat("x", keptBytes/2-10)
	for _, digest := range []string{"a", "b"} {
		if problem := kept.put(&putRequest{Digest: digest, Files: map[string]string{"f": big}}); problem != nil {
			t.Fatal(problem)
		}
	}
	if kept.get("a") == nil {
		t.Fatal("a is not kept")
	}
	kept.put(&putRequest{Digest: "c", Files: map[string]string{"f": big}})
	if kept.get("b") != nil || kept.get("a") == nil || kept.get("c") == nil {
		t.Error("what was asked for longest ago goes first")
	}
}

func TestPathsThatNameNoFileOfATreeAreRefused(t *testing.T) {
	for _, name := range []string{"", "/a", "../a", "a/../b", "a//b", "./a", "a/"} {
		if _, problem := newTree(&putRequest{Files: map[string]string{name: ""}}); problem == nil {
			t.Errorf("%q is taken", name)
		}
	}
	if _, problem := newTree(&putRequest{Files: map[string]string{"a": "", "a/b": ""}}); problem == nil {
		t.Error("a is a file and a folder")
	}
}
