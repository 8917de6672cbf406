require "notify";
notify :options "high@example.net" :id "work" :high;
notify :options "normal@example.net" :id "Work";
notify :options "low@example.net" :id "home" :low :message "$from$ ($env-from$) on $subject$: $text[5]$";
denotify :is "work";
denotify :matches "W?rk" :normal;
denotify :contains "home" :high;
