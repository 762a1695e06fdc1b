package main

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"strconv"
	"time"
)

const (
	appID = "1400000000"
	token = "token-a"
	skew  = 60 * time.Second
)

// query has the parameters of a callback's URL.
type query struct{ app, command, clientIP, platform, sign, requestTime string }

// isAuthentic tells whether the platform has signed it, and lately.
func (q *query) isAuthentic(now time.Time) bool {
	digest := sha256.Sum256([]byte(token + q.requestTime))
	var expected [2 * sha256.Size]byte
	hex.Encode(expected[:], digest[:])
	if subtle.ConstantTimeCompare(expected[:], []byte(q.sign)) != 1 || q.app != appID {
		return false
	}
	at, err := strconv.ParseInt(q.requestTime, 10, 64)
	return err == nil && now.Sub(time.Unix(at, 0)).Abs() <= skew
}
