package bucket

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// purgeAtOnce is how many files Cloudflare forgets per request, on every plan.
const purgeAtOnce = 30

// Cloudflare returns a Purger for a zone. The token needs the permission Cache
// Purge, publicURL is where the tree is served. hc may be nil.
// https://developers.cloudflare.com/api/resources/cache/methods/purge/
func Cloudflare(zone string, token Secret, hc *http.Client, publicURL string) Purger {
	if hc == nil {
		hc = &http.Client{Timeout: 30 * time.Second}
	}
	publicURL = strings.TrimRight(publicURL, "/")
	return func(ctx context.Context, paths []string) error {
		if publicURL == "" {
			return errors.New("the tree's public URL is not known: set url")
		}
		var files []string
		for _, p := range paths {
			u := publicURL + "/" + (&url.URL{Path: p}).EscapedPath()
			files = append(files, u)
			if folder, ok := strings.CutSuffix(u, "/index.html"); ok {
				files = append(files, folder+"/")
			}
		}
		for some := range slices.Chunk(files, purgeAtOnce) {
			if err := purgeSome(ctx, hc, zone, token, some); err != nil {
				return errors.New(strings.ReplaceAll(err.Error(), string(token), "[secret]"))
			}
		}
		return nil
	}
}

func purgeSome(ctx context.Context, hc *http.Client, zone string, token Secret, files []string) error {
	body, err := json.Marshal(map[string][]string{"files": files})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://api.cloudflare.com/client/v4/zones/"+url.PathEscape(zone)+"/purge_cache", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+string(token))
	req.Header.Set("Content-Type", "application/json")
	res, err := hc.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	var answer struct {
		Success bool `json:"success"`
		Errors  []struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
		} `json:"errors"`
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil {
		return fmt.Errorf("Cloudflare, zone %s: %w", zone, err)
	}
	if json.Unmarshal(text, &answer) == nil && answer.Success && res.StatusCode == http.StatusOK {
		return nil
	}
	why := res.Status
	for _, e := range answer.Errors {
		why += fmt.Sprintf("; %s (%d)", e.Message, e.Code)
	}
	return fmt.Errorf("Cloudflare, zone %s: %s", zone, why)
}
