package uprobe

import "time"

// A user's processes and files are looked at for at most a share of the time. Unused time
// adds up, so that all servers of a host can be looked at when the agent starts.
const (
	shareBurst = 2 * time.Second
	sharePart  = 20 // the share is 1/sharePart
)

// share is the time that a user has left.
type share struct {
	left time.Duration
	at   time.Time
}

func (s *share) fill(now time.Time) {
	s.left = min(shareBurst, s.left+now.Sub(s.at)/sharePart)
	s.at = now
}

// shares are the shares of all users. A missing entry is a full share.
type shares map[uint32]*share

// has reports whether a user has time left.
func (s shares) has(user uint32, now time.Time) bool {
	own := s[user]
	if own == nil {
		return true
	}
	own.fill(now)
	return own.left > 0
}

// spend takes time from a user's share.
func (s shares) spend(user uint32, took time.Duration, now time.Time) {
	own := s[user]
	if own == nil {
		own = &share{left: shareBurst, at: now}
		s[user] = own
	}
	own.left -= took
}

// tidy drops the shares that are full again.
func (s shares) tidy(now time.Time) {
	for user, own := range s {
		if own.fill(now); own.left == shareBurst {
			delete(s, user)
		}
	}
}
