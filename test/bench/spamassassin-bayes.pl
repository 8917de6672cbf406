# Teaches SpamAssassin's Bayes and asks it, in one process: lines `spam FILE`, `ham FILE`, then `judge FILE`, each of which
# is answered with the probability. What sa-learn and spamd call, with every other rule left out.
use strict;
use warnings;
use Mail::SpamAssassin;

my ($directory) = @ARGV;
my $assassin = Mail::SpamAssassin->new({
  local_tests_only => 1,
  dont_copy_prefs => 1,
  userstate_dir => $directory,
  rules_filename => "$directory/none",
  site_rules_filename => "$directory/none",
  userprefs_filename => "$directory/none",
  config_text => join("\n",
    'use_bayes 1',
    'bayes_auto_learn 0',
    'bayes_auto_expire 0',
    "bayes_path $directory/bayes",
    'bayes_min_ham_num 1',
    'bayes_min_spam_num 1',
    'loadplugin Mail::SpamAssassin::Plugin::Check',
    'loadplugin Mail::SpamAssassin::Plugin::Bayes',
    "body BAYES_99 eval:check_bayes('0.99', '1.00')",
    ''),
});
$assassin->init(1);
$assassin->init_learner({ wait_for_lock => 1, caller_will_untie => 1 });
my $learning = 1;
while (my $line = <STDIN>) {
  chomp $line;
  my ($what, $file) = split / /, $line, 2;
  if ($what eq 'judge' && $learning) {
    $assassin->finish_learner();
    $learning = 0;
  }
  open my $in, '<', $file or die "$file: $!";
  my $mail = $assassin->parse(do { local $/; <$in> });
  close $in;
  my $status = $what eq 'judge' ? $assassin->check($mail) : $assassin->learn($mail, undef, $what eq 'spam', 0);
  # Where no token is known there is no probability.
  print defined $status->{bayes_score} ? $status->{bayes_score} : 0.5, "\n" if $what eq 'judge';
  $status->finish();
  $mail->finish();
}
