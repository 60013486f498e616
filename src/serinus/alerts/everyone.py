"""The operator's own receiver, for canaries that name none: Flagger's -slack-* and -msteams-*."""

from dataclasses import dataclass, field

from serinus.alerts.receiver import USERNAME, Receiver


@dataclass(frozen=True, slots=True)
class GlobalAlerts:
    """The flags' values; empty addresses mean that nobody is told."""

    slack_url: str = field(default="", repr=False)
    slack_token: str = field(default="", repr=False)
    slack_proxy_url: str = field(default="", repr=False)
    slack_user: str = USERNAME
    slack_channel: str = ""
    msteams_url: str = field(default="", repr=False)
    msteams_proxy_url: str = field(default="", repr=False)

    @property
    def receiver(self) -> Receiver | None:
        """Teams wins over Slack, as in Flagger.

        Without a channel Flagger drops every message; here Slack posts to the webhook's own.
        """
        if self.msteams_url:
            return Receiver("msteams", self.msteams_url, proxy=self.msteams_proxy_url)
        if self.slack_url:
            return Receiver(
                "slack",
                self.slack_url,
                self.slack_token,
                self.slack_proxy_url,
                self.slack_user,
                self.slack_channel,
            )
        return None
