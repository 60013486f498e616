// Renders templates with Go's own text/template, with the names and options that Flagger gives
// them: a JSON list of texts comes in, and goes out with each text's result, or null where Go
// refuses it. To record anew: go run record.go < templates.json > rendered.json
package main

import (
	"encoding/json"
	"os"
	"strings"
	"text/template"
)

func word(text string) func() string { return func() string { return text } }

func render(text string) *string {
	variables := map[string]string{"direction": "inbound", "empty": "", "quantile": "0.99"}
	functions := template.FuncMap{
		"name": word("podinfo"), "namespace": word("test"), "target": word("podinfo"),
		"service": word("front"), "ingress": word("podinfo"), "route": word("podinfo"),
		"interval": word("1m"), "variables": func() map[string]string { return variables },
	}
	parsed, err := template.New("query").Option("missingkey=error").Funcs(functions).Parse(text)
	if err != nil {
		return nil
	}
	var out strings.Builder
	if parsed.Execute(&out, nil) != nil {
		return nil
	}
	result := out.String()
	return &result
}

func main() {
	var texts []string
	if err := json.NewDecoder(os.Stdin).Decode(&texts); err != nil {
		panic(err)
	}
	results := make([][2]any, 0, len(texts))
	for _, text := range texts {
		results = append(results, [2]any{text, render(text)})
	}
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	out.SetIndent("", " ")
	if err := out.Encode(results); err != nil {
		panic(err)
	}
}
