package main

import (
	"bytes"
	"regexp"

	"go.yaml.in/yaml/v3"
)

// mostUnfolded values may come of one document's aliases. kustomize copies what an alias stands for each time that it is met.
const mostUnfolded = 200_000

var alias = regexp.MustCompile(`[\s,\[:-]\*[^\s,\]}]`)

// unfolded is how many values a file has where all aliases are written out; 0 where it has none, or is no YAML.
func unfolded(content []byte) int {
	if !bytes.ContainsRune(content, '&') || !alias.Match(content) {
		return 0
	}
	most := 0
	for decoder := yaml.NewDecoder(bytes.NewReader(content)); ; {
		var document yaml.Node
		if decoder.Decode(&document) != nil {
			return most
		}
		most = max(most, values(&document, map[*yaml.Node]int{}))
	}
}

func values(node *yaml.Node, known map[*yaml.Node]int) int {
	if count, ok := known[node]; ok {
		return count
	}
	known[node] = mostUnfolded // of an alias within what it stands for
	count := 1
	if node.Kind == yaml.AliasNode {
		count = values(node.Alias, known)
	}
	for _, each := range node.Content {
		count = min(count+values(each, known), 2*mostUnfolded)
	}
	known[node] = count
	return count
}
