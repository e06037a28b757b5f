package main

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"helm.sh/helm/v4/pkg/chart/common"
	commonutil "helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/loader/archive"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
	"helm.sh/helm/v4/pkg/ignore"
	"sigs.k8s.io/yaml"
)

const (
	// deepestCharts is how deep charts may hold one another.
	deepestCharts = 16
	mostCharts    = 200
)

// chartOf loads a chart from a folder of a tree, as Helm does from one on a disk.
func chartOf(of *tree, folder string) (*chart.Chart, *failure) {
	rules := ignore.Empty()
	prefix := folder + "/"
	if folder == "" {
		prefix = ""
	}
	if content, ok := of.files[prefix+ignore.HelmIgnore]; ok {
		read, err := ignore.Parse(bytes.NewReader(content))
		if err != nil {
			return nil, &failure{Kind: "chart", File: prefix + ignore.HelmIgnore, Text: shortened(err.Error())}
		}
		rules = read
	}
	rules.AddDefaults()
	var given []*archive.BufferedFile
	for name, content := range of.files {
		name, ok := strings.CutPrefix(name, prefix)
		if !ok || ignored(rules, name) {
			continue
		}
		if path.Base(name) == "Chart.yaml" || path.Base(name) == "values.yaml" || path.Base(name) == "requirements.yaml" {
			if unfolded(content) > mostUnfolded {
				return nil, &failure{Kind: "limit", What: "aliases", File: prefix + name, Line: 1}
			}
		}
		given = append(given, &archive.BufferedFile{Name: name, Data: bytes.TrimPrefix(content, []byte("\xef\xbb\xbf"))})
	}
	slices.SortFunc(given, func(a, b *archive.BufferedFile) int { return strings.Compare(a.Name, b.Name) })
	loaded, err := loader.LoadFiles(given)
	if err != nil {
		return nil, &failure{Kind: "chart", File: prefix + "Chart.yaml", Text: shortened(err.Error())}
	}
	if count := 0; !bounds(loaded, deepestCharts, &count) {
		return nil, &failure{Kind: "limit", What: "charts", File: prefix + "Chart.yaml"}
	}
	return loaded, nil
}

func bounds(of *chart.Chart, depth int, count *int) bool {
	*count++
	if depth == 0 || *count > mostCharts {
		return false
	}
	for _, each := range of.Dependencies() {
		if !bounds(each, depth-1, count) {
			return false
		}
	}
	return true
}

// ignored says whether a path, or a folder on it, is in .helmignore.
func ignored(rules *ignore.Rules, name string) bool {
	for folder := path.Dir(name); folder != "."; folder = path.Dir(folder) {
		if rules.Ignore(folder, entry{name: folder, isFolder: true}) {
			return true
		}
	}
	return rules.Ignore(name, entry{name: name})
}

// valuesOf are those of files, the later ones first in rank, and those of the Application above them.
func valuesOf(of *tree, asked *helmRequest) (map[string]any, *failure) {
	merged := map[string]any{}
	for _, name := range asked.ValuesFiles {
		content, ok := of.files[relative(name)]
		if !ok {
			return nil, &failure{Kind: "values", What: "missing", File: name}
		}
		if unfolded(content) > mostUnfolded {
			return nil, &failure{Kind: "limit", What: "aliases", File: name, Line: 1}
		}
		read, err := loader.LoadValues(bytes.NewReader(content))
		if err != nil {
			return nil, &failure{Kind: "values", File: name, Text: shortened(err.Error())}
		}
		merged = loader.MergeMaps(merged, read)
	}
	own := map[string]any{}
	if len(asked.Values) > 0 {
		if err := yaml.Unmarshal(asked.Values, &own); err != nil {
			return nil, &failure{Kind: "values", Text: shortened(err.Error())}
		}
	}
	return loader.MergeMaps(merged, own), nil
}

// installable is what Helm checks before it renders.
func installable(of *chart.Chart, values map[string]any, caps kubeVersion) *failure {
	if of.Metadata.Type == "library" {
		return &failure{Kind: "chart", Text: "library charts are not installable"}
	}
	if wanted := of.Metadata.KubeVersion; wanted != "" && !chartutil.IsCompatibleRange(wanted, caps.normalized) {
		text := fmt.Sprintf("chart requires kubeVersion: %s which is incompatible with Kubernetes %s", wanted, caps.Version)
		return &failure{Kind: "chart", Text: shortened(text)}
	}
	var missing []string
	for _, wanted := range of.Metadata.Dependencies {
		if !slices.ContainsFunc(of.Dependencies(), func(each *chart.Chart) bool { return each.Name() == wanted.Name }) {
			missing = append(missing, wanted.Name)
		}
	}
	if len(missing) > 0 {
		return &failure{Kind: "chart", What: "dependency", Text: shortened(strings.Join(missing, ", "))}
	}
	return switches(of, values)
}

// switches refuses a sealed value that turns a dependency on or off: Helm would take no notice of text.
func switches(of *chart.Chart, values map[string]any) *failure {
	for _, each := range of.Metadata.Dependencies {
		for condition := range strings.SplitSeq(each.Condition, ",") {
			if isMarkedBelow(within(values, strings.TrimSpace(condition))) {
				return &failure{Kind: "sealed", What: "condition", Text: shortened(condition)}
			}
		}
		for _, tag := range each.Tags {
			if isMarkedBelow(within(values, "tags."+tag)) {
				return &failure{Kind: "sealed", What: "condition", Text: shortened("tags." + tag)}
			}
		}
	}
	for _, each := range of.Dependencies() {
		if inner, ok := values[each.Name()].(map[string]any); ok {
			if problem := switches(each, inner); problem != nil {
				return problem
			}
		}
	}
	return nil
}

func within(values any, dotted string) any {
	for name := range strings.SplitSeq(dotted, ".") {
		found, ok := values.(map[string]any)
		if !ok {
			return nil
		}
		values = found[name]
	}
	return values
}

// coalesced are the values that a chart is rendered with, checked by the schemas of it and of its dependencies.
func coalesced(of *chart.Chart, values map[string]any) (map[string]any, *failure) {
	if err := chartutil.ProcessDependencies(of, values); err != nil {
		return nil, &failure{Kind: "chart", What: "dependencies", Text: shortened(err.Error())}
	}
	made, err := commonutil.CoalesceValues(of, values)
	if err != nil {
		return nil, &failure{Kind: "values", Text: shortened(err.Error())}
	}
	return made, checkedBySchema(of, made)
}

func checkedBySchema(of *chart.Chart, values map[string]any) *failure {
	if of.Schema != nil {
		if problem := checked(values, of.Schema, of.ChartFullPath()); problem != nil {
			return problem
		}
	}
	for _, each := range of.Dependencies() {
		switch inner := values[each.Name()].(type) {
		case nil:
		case map[string]any:
			if problem := checkedBySchema(each, inner); problem != nil {
				return problem
			}
		case common.Values:
			if problem := checkedBySchema(each, inner); problem != nil {
				return problem
			}
		default:
			return &failure{Kind: "values", What: "schema", File: each.ChartFullPath(), Text: "the values of a dependency are no map"}
		}
	}
	return nil
}

// unreachable loads nothing: a schema may name addresses and files.
type unreachable struct{}

var errReference = errors.New("a schema that is not in the chart's own file is not fetched")

func (unreachable) Load(string) (any, error) { return nil, errReference }

func checked(values map[string]any, schema []byte, name string) *failure {
	file := name + "/values.schema.json"
	read, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		return &failure{Kind: "values", What: "schema", File: file, Text: shortened(err.Error())}
	}
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(unreachable{})
	const self = "file:///values.schema.json"
	if err = compiler.AddResource(self, read); err != nil {
		return &failure{Kind: "values", What: "schema", File: file, Text: shortened(err.Error())}
	}
	compiled, err := compiler.Compile(self)
	var loading *jsonschema.LoadURLError
	if errors.As(err, &loading) {
		return &failure{Kind: "values", What: "reference", File: file}
	}
	if err != nil {
		return &failure{Kind: "values", What: "schema", File: file, Text: shortened(err.Error())}
	}
	var invalid *jsonschema.ValidationError
	if err = compiled.Validate(map[string]any(values)); !errors.As(err, &invalid) {
		if err != nil {
			return &failure{Kind: "values", What: "schema", File: file, Text: shortened(err.Error())}
		}
		return nil
	}
	if found := remaining(invalid, values); found != nil {
		return &failure{Kind: "values", What: "schema", File: file, Text: shortened(withoutPlaceholders(found.Error()))}
	}
	return nil
}

// remaining is the first error that is not about a sealed value, of which a schema sees a text of some length.
func remaining(of *jsonschema.ValidationError, values any) *jsonschema.ValidationError {
	if len(of.Causes) == 0 {
		if text, ok := at(values, of.InstanceLocation).(string); ok && isMarked(text) {
			return nil
		}
		return of
	}
	_, isAny := of.ErrorKind.(*kind.AnyOf)
	_, isOne := of.ErrorKind.(*kind.OneOf)
	var found *jsonschema.ValidationError
	for _, each := range of.Causes {
		left := remaining(each, values)
		if left == nil && (isAny || isOne) {
			return nil
		}
		if left != nil && found == nil {
			found = left
		}
	}
	return found
}

func at(value any, steps []string) any {
	for _, step := range steps {
		switch inner := value.(type) {
		case map[string]any:
			value = inner[step]
		case common.Values:
			value = inner[step]
		case []any:
			var number int
			if _, err := fmt.Sscan(step, &number); err != nil || number < 0 || number >= len(inner) {
				return nil
			}
			value = inner[number]
		default:
			return nil
		}
	}
	return value
}
