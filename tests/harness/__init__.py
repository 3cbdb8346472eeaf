# SPDX-License-Identifier: MIT
"""What the tests of the whole share: programs under the shim, events, the kernel's own view."""
