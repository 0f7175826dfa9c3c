"""PostHog's feature flags: definitions are fetched beside the calls, and evaluated here by PostHog's SDK."""

from proxy.adapters.flags.fetch import Project as Project
from proxy.adapters.flags.service import FlagService as FlagService
from proxy.adapters.flags.service import FlagSettings as FlagSettings
