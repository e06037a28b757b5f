package main

import (
	"reflect"
	"strings"
)

// call is one of a function with its values; those of a variadic one are in a row.
type call struct {
	r    *rendering
	at   int
	name string
	args []any
	// result is what the function gives.
	result reflect.Type
}

// templateGuard gives a result in the place of the function's own, nothing where that one may be called, or an error.
type templateGuard func(*call) (given any, isGiven bool, err error)

// guards are by function. One that is not here is refused where a sealed value is among its values, however deep.
var guards = map[string]templateGuard{}

func init() {
	for names, each := range map[string]templateGuard{
		// Maps, lists and texts that values pass through as they are.
		"list tuple first mustFirst last mustLast rest mustRest initial mustInitial append mustAppend push mustPush prepend " +
			"mustPrepend concat reverse mustReverse chunk mustChunk values deepCopy mustDeepCopy keys toString toStrings cat join " +
			"squote print println lookup fail": pass,
		"indent nindent":                       indented,
		"repeat":                               clearFirst,
		"get hasKey unset set pick omit index": clearBehindFirst,
		"slice mustSlice":                      clearPositions,
		"pluck":                                clearFirst,
		"dict":                                 clearKeys,
		"dig":                                  clearPath,
		"merge mustMerge mergeOverwrite mustMergeOverwrite": merged,
		"until untilStep seq":                               counted,

		// Questions.
		"default":                                defaulted,
		"coalesce all any":                       eachTrue,
		"compact mustCompact":                    elementsTrue,
		"empty not":                              lastTrue,
		"ternary":                                lastTrue,
		"required":                               requiredText,
		"kindOf kindIs typeOf typeIs typeIsLike": isText,
		"eq ne":                                  equal,
		"contains":                               containing,
		"hasPrefix hasSuffix":                    affixed,
		"splitList split":                        separated,

		// What is written down.
		"printf":                         formatted,
		"quote":                          quoted,
		"toYaml mustToYaml toYamlPretty": yamlText,
		"toJson mustToJson toPrettyJson mustToPrettyJson":            jsonText,
		"toRawJson mustToRawJson":                                    rawJSONText,
		"fromYaml fromYamlArray fromJson mustFromJson fromJsonArray": bared,
		"b64enc b32enc sha1sum sha256sum sha512sum":                  wholeText,
		"b64dec b32dec":                              decodedText,
		"urlquery upper lower":                       ofText,
		"trim trimAll trimall trimPrefix trimSuffix": trimmed,
		"trunc":          truncated,
		"substr replace": ofText,
		"bcrypt":         hashed,
		"htpasswd":       passwordEntry,
		"derivePassword": derived,

		// What would be another one in each render: the agent makes it once, or it is refused.
		"randAlphaNum randAlpha randAscii randNumeric randBytes uuidv4": madeText,
		"genPrivateKey": madeKey,
		"genCA genCAWithKey genSelfSignedCert genSelfSignedCertWithKey genSignedCert genSignedCertWithKey": madeCertificate,
		"buildCustomCert":                givenCertificate,
		"randInt shuffle encryptAES ago": random,
	} {
		for name := range strings.FieldsSeq(names) {
			guards[name] = each
		}
	}
}

// guarded is a function of Helm with a place before its values, and an error behind its result.
func (r *rendering) guarded(name string, function reflect.Value) reflect.Value {
	kind := function.Type()
	takes := []reflect.Type{reflect.TypeFor[int]()}
	for each := range kind.Ins() {
		takes = append(takes, each)
	}
	signature := reflect.FuncOf(takes, []reflect.Type{kind.Out(0), reflect.TypeFor[error]()}, kind.IsVariadic())
	check := guards[name]
	if check == nil {
		check = refused
	}
	return reflect.MakeFunc(signature, func(args []reflect.Value) []reflect.Value {
		c := &call{r: r, at: int(args[0].Int()), name: name, result: kind.Out(0)}
		c.args = flat(args[1:], kind.IsVariadic())
		given, err := c.do(check, function, args[1:])
		failed := reflect.Zero(reflect.TypeFor[error]())
		if err != nil {
			return []reflect.Value{reflect.Zero(kind.Out(0)), reflect.ValueOf(&err).Elem()}
		}
		return []reflect.Value{given, failed}
	})
}

func flat(args []reflect.Value, isVariadic bool) []any {
	made := make([]any, 0, len(args))
	for at, each := range args {
		if isVariadic && at == len(args)-1 {
			for item := range each.Len() {
				made = append(made, each.Index(item).Interface())
			}
		} else {
			made = append(made, each.Interface())
		}
	}
	return made
}

func (c *call) do(check templateGuard, function reflect.Value, args []reflect.Value) (reflect.Value, error) {
	none := reflect.Zero(c.result)
	if err := c.r.step(c.at); err != nil {
		return none, err
	}
	given, isGiven, err := check(c)
	if err != nil {
		return none, err
	}
	result := none
	switch {
	case isGiven && given != nil:
		result = reflect.ValueOf(given)
	case isGiven:
	case function.Type().IsVariadic():
		result, err = returned(function.CallSlice(args))
	default:
		result, err = returned(function.Call(args))
	}
	if err != nil {
		return none, err
	}
	return result, c.r.took(c.at, sizeOf(result))
}

func returned(results []reflect.Value) (reflect.Value, error) {
	if len(results) > 1 && !results[1].IsNil() {
		return results[0], results[1].Interface().(error)
	}
	return results[0], nil
}

func sizeOf(value reflect.Value) int {
	if value.Kind() == reflect.Interface && !value.IsNil() {
		value = value.Elem()
	}
	switch value.Kind() {
	case reflect.String:
		return value.Len()
	case reflect.Slice:
		return value.Len() * listItem
	}
	return 0
}

func (c *call) refuse() error { return c.r.refuse(c.at, "sealed", c.name, "") }

func (c *call) text(at int) string {
	if at < 0 || at >= len(c.args) {
		return ""
	}
	text, _ := c.args[at].(string)
	return text
}

func (c *call) last() any {
	if len(c.args) == 0 {
		return nil
	}
	return c.args[len(c.args)-1]
}

func pass(*call) (any, bool, error) { return nil, false, nil }

func refused(c *call) (any, bool, error) {
	if isMarkedBelow(c.args) {
		return nil, false, c.refuse()
	}
	return nil, false, nil
}

// clearFirst is for functions that read their first value and move the others.
func clearFirst(c *call) (any, bool, error) {
	if len(c.args) > 0 && isMarkedBelow(c.args[0]) {
		return nil, false, c.refuse()
	}
	if count, ok := c.args[0].(int); ok {
		size := 64
		if text := c.text(1); c.name == "repeat" {
			size = len(text)
		} else {
			size = strings.Count(text, "\n") + 1
		}
		if count > longestResult || count*max(size, 1) > longestResult {
			return nil, false, c.r.refuse(c.at, "limit", "result", "")
		}
	}
	return nil, false, nil
}

// indented moves the lines of values too, which are not known to have any.
func indented(c *call) (any, bool, error) {
	if given, isGiven, err := clearFirst(c); err != nil || !isMarked(c.text(1)) {
		return given, isGiven, err
	}
	spaces, _ := c.args[0].(int)
	text := placeholders.ReplaceAllStringFunc(c.text(1), func(each string) string { return c.r.indented(each, spaces) })
	text = strings.Repeat(" ", spaces) + strings.ReplaceAll(text, "\n", "\n"+strings.Repeat(" ", spaces))
	if c.name == "nindent" {
		text = "\n" + text
	}
	return text, true, nil
}

// clearBehindFirst is for those that look up keys; only `set` has a value behind its key.
func clearBehindFirst(c *call) (any, bool, error) {
	keys := c.args[min(1, len(c.args)):]
	if c.name == "set" {
		keys = keys[:min(1, len(keys))]
	}
	if isMarkedBelow(keys) || c.name == "index" && isMarked(c.text(0)) {
		return nil, false, c.refuse()
	}
	return nil, false, nil
}

func clearPositions(c *call) (any, bool, error) {
	if isMarked(c.text(0)) || isMarkedBelow(c.args[min(1, len(c.args)):]) {
		return nil, false, c.refuse()
	}
	return nil, false, nil
}

func clearKeys(c *call) (any, bool, error) {
	for at := 0; at < len(c.args); at += 2 {
		if isMarkedBelow(c.args[at]) {
			return nil, false, c.refuse()
		}
	}
	return nil, false, nil
}

func clearPath(c *call) (any, bool, error) {
	if isMarkedBelow(c.args[:max(0, len(c.args)-2)]) {
		return nil, false, c.refuse()
	}
	return nil, false, nil
}

// counted bounds what makes a list of the length it is given.
func counted(c *call) (any, bool, error) {
	const longest = longestResult / listItem
	smallest, largest := 0, 0
	for _, each := range c.args {
		if count, ok := each.(int); ok {
			smallest, largest = min(smallest, count), max(largest, count)
		}
	}
	if smallest < -longest || largest > longest {
		return nil, false, c.r.refuse(c.at, "limit", "result", "")
	}
	return refused(c)
}

// random is for what gives something else each time, and is not kept.
func random(c *call) (any, bool, error) {
	file, line := c.r.place(c.at)
	return nil, false, &refusal{failure{Kind: "random", What: c.name, File: file, Line: line}}
}
