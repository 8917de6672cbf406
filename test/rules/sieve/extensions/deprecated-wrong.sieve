require "notify";
notify :method "xmpp" :options "a@example.net";
notify :options ["a@example.net", "nobody at all"];
notify :high :low :options "a@example.net";
