package main

import (
	"maps"
	"slices"
	"strings"
	"text/template"
)

const (
	helmHook = "helm.sh/hook"
	argoHook = "argocd.argoproj.io/hook"
	// longestNotes is what is given of a chart's notes, in bytes.
	longestNotes = 16 << 10
)

// run are the hooks that the agent runs: of Helm, and of Argo CD where an object has none of Helm's.
var run = map[string][]string{
	helmHook: {"pre-install", "pre-upgrade", "post-install", "post-upgrade"},
	argoHook: {"PreSync", "Sync", "PostSync"},
}

// hooksOf are the words of the annotation that counts, and which one that is; empty for an ordinary object.
func hooksOf(annotations map[string]any) (words []string, name string) {
	for _, each := range []string{helmHook, argoHook} {
		text, ok := annotations[each].(string)
		if !ok || text == "" {
			continue
		}
		for word := range strings.SplitSeq(text, ",") {
			words = append(words, strings.TrimSpace(word))
		}
		return words, each
	}
	return nil, ""
}

// isHook says whether an object is a hook. Definitions by the hook of Helm 2 are ordinary objects, which come first anyway.
func isHook(annotations map[string]any) bool {
	words, _ := hooksOf(annotations)
	return len(words) > 0 && !slices.Equal(words, []string{"crd-install"})
}

// isElsewhere says whether a hook belongs to what is not done here: tests, rollbacks and the end of a release.
func isElsewhere(annotations map[string]any) bool {
	words, name := hooksOf(annotations)
	return !slices.ContainsFunc(words, func(word string) bool { return slices.Contains(run[name], word) || word == "crd-install" })
}

// notes are what the chart tells its user. What they ask of values decides nothing, so it is no question.
func (c *charted) notes(set *template.Template, name string) (text string, failed bool) {
	if _, ok := c.templates[name]; !ok {
		return "", false
	}
	questions, expressions := c.r.questions, maps.Clone(c.r.expressions)
	var to bounded
	err := set.ExecuteTemplate(&to, name, c.data[name])
	c.r.questions, c.r.expressions = questions, expressions
	if err != nil {
		return "", true
	}
	text = withoutPlaceholders(strings.ReplaceAll(to.String(), noValue, ""))
	return text[:min(len(text), longestNotes)], false
}
