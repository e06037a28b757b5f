package main

import (
	"bytes"
	"regexp"

	"go.yaml.in/yaml/v3"
)

const (
	// mostUnfolded values may come of one file's aliases. kustomize copies what an alias stands for each time that it is met.
	mostUnfolded = 200_000
	// deepestText is how often YAML may stand as text within YAML: a patch in a transformer that is written in a kustomization.
	deepestText = 3
)

var (
	// An escaped character may be any.
	anchor = regexp.MustCompile(`&|\\[xuU]`)
	alias  = regexp.MustCompile(`(?:[\s,\[{:-]|\\\w+)\*[^\s,\]}]|\\[xuU]`)
)

// unfolded is how many values a file has where all aliases are written out, also those of texts that may be YAML again, such as patches;
// 0 where it has none, or is no YAML.
func unfolded(content []byte) int { return unfoldedText(content, deepestText) }

func unfoldedText(content []byte, depth int) int {
	if depth < 0 || !anchor.Match(content) || !alias.Match(content) {
		return 0
	}
	count := 0
	for decoder := yaml.NewDecoder(bytes.NewReader(content)); ; {
		var document yaml.Node
		if decoder.Decode(&document) != nil {
			return count
		}
		count = min(count+values(&document, map[*yaml.Node]int{}, depth), 2*mostUnfolded)
	}
}

func values(node *yaml.Node, known map[*yaml.Node]int, depth int) int {
	if count, ok := known[node]; ok {
		return count
	}
	known[node] = mostUnfolded // of an alias within what it stands for
	count := 1
	switch node.Kind {
	case yaml.AliasNode:
		count = values(node.Alias, known, depth)
	case yaml.ScalarNode:
		count += unfoldedText([]byte(node.Value), depth-1)
	}
	for _, each := range node.Content {
		count = min(count+values(each, known, depth), 2*mostUnfolded)
	}
	known[node] = count
	return count
}
