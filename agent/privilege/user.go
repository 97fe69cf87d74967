package privilege

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"

	"kernel.org/pub/linux/libs/security/libcap/cap"
)

// OwnUser is the user that root becomes unless another is configured, if a user
// of this name exists.
const OwnUser = "lapwing"

// Identity is a user to change to.
type Identity struct {
	Name     string
	uid, gid int
}

// FindIdentity finds the user that root changes to, by name or number. It
// returns nil if there is none: the process does not run as root, the name is
// empty, or the default user does not exist.
func FindIdentity(name string) (*Identity, error) {
	if os.Geteuid() != 0 || name == "" {
		return nil, nil
	}
	if id, err := strconv.ParseUint(name, 10, 31); err == nil {
		return identity(name, int(id), int(id))
	}
	u, err := user.Lookup(name)
	if unknown := user.UnknownUserError(""); errors.As(err, &unknown) {
		if name == OwnUser {
			return nil, nil
		}
		return nil, fmt.Errorf("the user %q does not exist: create it (useradd --system), or use another", name)
	}
	if err != nil {
		return nil, fmt.Errorf("look up the user %q: %w", name, err)
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return nil, fmt.Errorf("the user %q has no numeric ID: %w", name, err)
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return nil, fmt.Errorf("the group of the user %q has no numeric ID: %w", name, err)
	}
	return identity(name, uid, gid)
}

func identity(name string, uid, gid int) (*Identity, error) {
	if uid == 0 {
		return nil, fmt.Errorf("the user %q is root: use another user, or leave the value empty", name)
	}
	return &Identity{Name: name, uid: uid, gid: gid}, nil
}

// Number returns the number of the user, as a name for FindIdentity. It is
// empty for a nil Identity.
func (i *Identity) Number() string {
	if i == nil {
		return ""
	}
	return strconv.Itoa(i.uid)
}

// become changes all threads to the user, without supplementary groups. The
// capabilities stay permitted.
func (i *Identity) become() error {
	if err := cap.SetGroups(i.gid); err != nil {
		return fmt.Errorf("switch to group %d: %w", i.gid, err)
	}
	if err := cap.SetUID(i.uid); err != nil {
		return fmt.Errorf("switch to user %d (%s): %w", i.uid, i.Name, err)
	}
	return nil
}

// Possible returns why the process cannot become that user. In a container,
// root may lack the capabilities to change the user, or capabilities that only
// root does without.
func (i *Identity) Possible(have *cap.Set) error {
	if i == nil {
		return nil
	}
	for _, v := range []cap.Value{cap.SETUID, cap.SETGID, cap.DAC_READ_SEARCH} {
		if on, err := have.GetFlag(cap.Permitted, v); err != nil || !on {
			return fmt.Errorf("%v is missing, which the agent needs to switch to user %s", v, i.Name)
		}
	}
	return nil
}
