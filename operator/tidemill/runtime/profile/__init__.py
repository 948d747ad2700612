"""Profiles: what a table looked like, as counts on fixed bins that add up exactly across batches, pods and shards.

The profile that a model version carries names its columns as the prediction log does: `feature:<name>` for what training
was given, and `prediction` and `score` for what the model answered on its hold-out.

Counting uses numpy on Arrow's own buffers. A compiler such as numba would count in one pass, but it would be part of the image and
of every start.
"""

from tidemill.runtime.profile.profile import (
    ColumnProfile,
    Counter,
    Profile,
    ProfiledColumn,
    ProfileError,
    empty_profile,
    profile_table,
)

__all__ = ["ColumnProfile", "Counter", "Profile", "ProfileError", "ProfiledColumn", "empty_profile", "profile_table"]
