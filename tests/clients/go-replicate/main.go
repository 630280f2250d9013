// github.com/replicate/replicate-go against a running server.
package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	"github.com/replicate/replicate-go"
)

const (
	owner   = "andreasjansson"
	name    = "stable-diffusion-inpainting"
	version = "e490d072a34a94a11e9711ed5a6ba621c3fab884eda1665d9d3a282d65a21180"
)

var (
	ctx    = context.Background()
	client *replicate.Client
)

func must(err error) {
	if err != nil {
		log.Fatalf("FAIL %v", err)
	}
}

func check(fine bool, format string, values ...any) {
	if !fine {
		log.Fatalf("FAIL "+format, values...)
	}
}

func uri(path string) string {
	data, err := os.ReadFile(path)
	must(err)
	return "data:image/png;base64," + base64.StdEncoding.EncodeToString(data)
}

func input() replicate.PredictionInput {
	return replicate.PredictionInput{"prompt": "a client", "image": uri(os.Getenv("IMAGE")), "mask": uri(os.Getenv("MASK")), "num_inference_steps": 2, "seed": 3}
}

func isPNG(url string) bool {
	answer, err := http.Get(url)
	must(err)
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	must(err)
	return answer.StatusCode == 200 && len(data) > 4 && string(data[1:4]) == "PNG"
}

func run() {
	for _, ref := range []string{owner + "/" + name + ":" + version, owner + "/" + name} {
		output, err := client.Run(ctx, ref, input(), nil)
		must(err)
		list, ok := output.([]any)
		check(ok && len(list) == 1 && isPNG(list[0].(string)), "output %v", output)
	}
}

func runWithFiles() {
	image, err := client.CreateFileFromPath(ctx, os.Getenv("IMAGE"), &replicate.CreateFileOptions{Metadata: map[string]string{"a": "b"}})
	must(err)
	mask, err := client.CreateFileFromPath(ctx, os.Getenv("MASK"), nil)
	must(err)
	in := input()
	in["image"], in["mask"] = image, mask
	output, err := client.RunWithOptions(ctx, owner+"/"+name, in, nil, replicate.WithBlockUntilDone())
	must(err)
	check(len(output.([]any)) == 1, "output %v", output)
	got, err := client.GetFile(ctx, image.ID)
	must(err)
	check(got.Checksums["md5"] == image.Checksums["md5"] && got.Metadata["a"] == "b", "file %v", got)
	files, err := client.ListFiles(ctx)
	must(err)
	check(len(files.Results) >= 2, "files %v", files)
	must(client.DeleteFile(ctx, image.ID))
}

func createWaitGet() {
	prediction, err := client.CreatePrediction(ctx, version, input(), nil, true)
	must(err)
	must(client.Wait(ctx, prediction, replicate.WithPollingInterval(50*time.Millisecond)))
	check(prediction.Status == replicate.Succeeded && prediction.Error == nil && prediction.Progress().Percentage == 1, "prediction %v", prediction)
	check(strings.HasPrefix(*prediction.Logs, "Using seed: 3\n"), "logs %v", *prediction.Logs)
	page, err := client.ListPredictions(ctx)
	must(err)
	check(page.Results[0].ID != "", "list %v", page)
}

func stream() {
	prediction, err := client.CreatePrediction(ctx, version, input(), nil, true)
	must(err)
	events, failures := client.StreamPrediction(ctx, prediction)
	var seen []string
	for done := false; !done; {
		select {
		case event, ok := <-events:
			if done = !ok || event.Type == "done"; ok {
				seen = append(seen, event.Type)
			}
		case err := <-failures:
			must(err)
		}
	}
	check(strings.Join(seen, " ") == "output done", "events %v", seen)
}

func streamFiles() {
	in := input()
	in["num_outputs"] = 2
	prediction, err := client.CreatePrediction(ctx, version, in, nil, true)
	must(err)
	files, err := client.StreamPredictionFiles(prediction)
	must(err)
	defer files.Close()
	count := 0
	for ; ; count++ {
		file, err := files.NextFile(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		must(err)
		body, err := file.Body(ctx)
		must(err)
		data, err := io.ReadAll(body)
		must(err)
		check(string(data[1:4]) == "PNG", "not a PNG")
	}
	check(count == 2, "%d files", count)
}

func cancel() {
	in := input() // minutes of work, seconds on the fastest machine
	in["image"], in["mask"] = uri(os.Getenv("LARGE")), uri(os.Getenv("LARGE_MASK"))
	in["num_inference_steps"], in["num_outputs"] = 500, 4
	prediction, err := client.CreatePrediction(ctx, version, in, nil, false)
	must(err)
	prediction, err = client.CancelPrediction(ctx, prediction.ID)
	must(err)
	check(prediction.Status == replicate.Canceled, "status %v", prediction.Status)
	must(client.Wait(ctx, prediction))
}

func problems() {
	_, err := client.CreatePrediction(ctx, version, replicate.PredictionInput{}, nil, false)
	var problem *replicate.APIError
	check(errors.As(err, &problem) && problem.Status == 422 && strings.Contains(problem.Detail, "image is required"), "error %v", err)
	_, err = client.GetPrediction(ctx, "nobody")
	check(errors.As(err, &problem) && problem.Status == 404, "error %v", err)
	in := input()
	in["image"] = "data:image/png;base64,AAAA"
	_, err = client.Run(ctx, owner+"/"+name, in, nil)
	var failure *replicate.ModelError
	check(errors.As(err, &failure) && failure.Prediction.Logs != nil, "error %v", err)
}

func models() {
	model, err := client.GetModel(ctx, owner, name)
	must(err)
	check(model.LatestVersion.ID == version, "model %v", model)
	versions, err := client.ListModelVersions(ctx, owner, name)
	must(err)
	check(len(versions.Results) == 2, "versions %v", versions)
	_, err = client.GetModelVersion(ctx, owner, name, version)
	must(err)
	account, err := client.GetCurrentAccount(ctx)
	must(err)
	hardware, err := client.ListHardware(ctx)
	must(err)
	check(account.Username != "" && (*hardware)[0].SKU == "cpu", "account %v", account)
}

func webhook() {
	secret, err := client.GetDefaultWebhookSecret(ctx)
	must(err)
	heard := make(chan string, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, request *http.Request) {
		fine, err := replicate.ValidateWebhookRequest(request, *secret)
		body, _ := io.ReadAll(request.Body)
		var prediction replicate.Prediction
		if err != nil || !fine || json.Unmarshal(body, &prediction) != nil {
			heard <- fmt.Sprintf("invalid: %v", err)
			return
		}
		heard <- string(prediction.Status)
	}))
	defer receiver.Close()
	_, err = client.CreatePrediction(ctx, version, input(), &replicate.Webhook{URL: receiver.URL, Events: []replicate.WebhookEventType{"completed"}}, false)
	must(err)
	select {
	case status := <-heard:
		check(status == "succeeded", "heard %s", status)
	case <-time.After(60 * time.Second):
		check(false, "no webhook")
	}
}

func main() {
	log.SetFlags(0)
	var err error
	client, err = replicate.NewClient(replicate.WithToken("any"), replicate.WithBaseURL(os.Getenv("SERVICE_URL")+"/v1"))
	must(err)
	for _, test := range []struct {
		name string
		run  func()
	}{{"run", run}, {"run with files", runWithFiles}, {"create, wait, get", createWaitGet}, {"stream", stream}, {"stream files", streamFiles}, {"cancel", cancel},
		{"problems", problems}, {"models", models}, {"webhook", webhook}} {
		began := time.Now()
		test.run()
		fmt.Printf("ok   %s (%d ms)\n", test.name, time.Since(began).Milliseconds())
	}
}
