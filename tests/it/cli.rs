//! What an operator reads: the text of each command, word for word.

use crate::program::{exit_code, project};
use insta::assert_snapshot;

#[test]
fn a_deploy_tells_each_step_and_what_changed() {
    let project = project();
    assert_snapshot!(project.bgx(&["run", "playbooks/deploy.rhai", "--env", "beta", "--version", "41001"]), @"
    changed:
      /compiler-explorer/beta/active-color             blue → green
      /compiler-explorer/beta/active-target-group-arn  Beta-Blue → Beta-Green
      /compiler-explorer/beta/green-version            absent → dist/gh/main/41001.tar.xz
      beta routes https:443 /beta*                     Beta-Blue 1 → 0, Beta-Green absent → 100
      beta-green                                       desired 0 → 2, min 0 → 1
      s3://compiler-explorer/version/beta              dist/gh/main/41000.tar.xz → dist/gh/main/41001.tar.xz
    users: 2141 requests, 0 errors (5xx), mixed versions for 3.9 s, never fewer than 2 healthy targets, switched within 3.9 s
    done in 7 min 8 s of virtual time, 243 calls
    SANDBOX: nothing real is touched
    ------- stderr -------
    SANDBOX: nothing real is touched
    00:00 run yk88pu · playbooks/deploy.rhai on beta
    00:00 preparation
    00:00 protection
    00:00   → beta-blue: min 2 (lease)
    00:02 boot
    00:02   → beta-blue: suspend AZRebalance, AlarmNotification, ScheduledActions (lease)
    00:06   → s3://compiler-explorer/version/beta: set to `dist/gh/main/41001.tar.xz`
    00:06   → /compiler-explorer/beta/green-version: set to `dist/gh/main/41001.tar.xz`
    00:07   → beta-green: desired 2, min 2
    00:08   … beta-green 0/2 in service · i-0116a7537117547e5 Pending · i-06d885ab0cc9e4967 Pending
    01:09   … beta-green 1/2 in service · i-06d885ab0cc9e4967 Pending
    01:19   beta-green in service: 1 min 11 s
    01:19   → beta-green: suspend AZRebalance, AlarmNotification, Launch, ScheduledActions (lease)
    01:20   → s3://compiler-explorer/version/beta: set to `dist/gh/main/41000.tar.xz`
    01:21   ↩ beta-blue: resume AZRebalance, AlarmNotification, ScheduledActions (lease given back after 1 min 19 s)
    01:21 health
    01:21   → beta routes: Beta-Blue 100, Beta-Green 0
    01:22   … beta-green 0/2 healthy · i-0116a7537117547e5 unused: Target.NotInUse · i-06d885ab0cc9e4967 unused: Target.NotInUse
    01:26   … beta-green 0/2 healthy · i-0116a7537117547e5 initial: Elb.RegistrationInProgress · i-06d885ab0cc9e4967 initial: Elb.RegistrationInProgress
    01:30   … beta-green 0/2 healthy · i-0116a7537117547e5 initial: Elb.InitialHealthChecking · i-06d885ab0cc9e4967 initial: Elb.InitialHealthChecking
    01:34   … beta-green 1/2 healthy · i-06d885ab0cc9e4967 initial: Elb.InitialHealthChecking
    01:51   beta-green healthy: 28 s
    01:51 switch
    01:51   → beta-green: resume Launch
    01:54   → beta routes: Beta-Blue 0, Beta-Green 100
    01:55   → /compiler-explorer/beta/active-color: set to `green`
    01:56   → /compiler-explorer/beta/active-target-group-arn: set to the ARN of Beta-Green
    01:56   → beta-blue: suspend AZRebalance, AlarmNotification, Launch, ScheduledActions (lease)
    01:58   → s3://compiler-explorer/version/beta: set to `dist/gh/main/41001.tar.xz`
    02:02   ↩ beta-green: resume AZRebalance, AlarmNotification, Launch, ScheduledActions (lease given back after 43 s)
    02:02   POST /admin/clear-cache to ce-router-beta: 1 instance(s)
    02:02 watch
    02:02   … watching beta-green: 2/2 healthy
    07:02   watching beta-green: 5 min
    07:02 committed: from here on nothing is undone by itself
    07:02 sizes
    07:02   → beta-green: min 1
    07:06   beta-blue stays warm with at least 2 instance(s) until `cleanup`
    07:06 green serves dist/gh/main/41001.tar.xz; blue is warm with dist/gh/main/41000.tar.xz. Back: bgx run rollback --env beta
    07:07 ↩ beta-blue: resume AZRebalance, AlarmNotification, Launch, ScheduledActions (lease given back after 5 min 12 s)
    [exit status: 0]
    ");
}

#[test]
fn status_after_a_deploy_shows_the_other_colour_active() {
    let project = project();
    assert_eq!(exit_code(&project.bgx(&["run", "deploy", "--env", "beta", "--version", "41001"])), Some(0));
    assert_snapshot!(project.bgx(&["status", "--env", "beta"]), @r#"
    Status of beta
      Active color:   green
      Inactive color: blue
      Listener:       https:443 /beta* → Beta-Blue 0, Beta-Green 100
      SSM says:       green
      blue:
        ASG Name:        beta-blue
        Desired/Min/Max: 2/2/10
        ASG Health:      2/2 healthy
        Target Group:    2/2 healthy in Beta-Blue
        HTTP Health:     2/2 healthy
        Version:         dist/gh/main/41000.tar.xz
        Next boot:       dist/gh/main/41001.tar.xz
      green (ACTIVE):
        ASG Name:        beta-green
        Desired/Min/Max: 2/1/10
        ASG Health:      2/2 healthy
        Target Group:    2/2 healthy in Beta-Green
        HTTP Health:     2/2 healthy
        Version:         dist/gh/main/41001.tar.xz
        Next boot:       dist/gh/main/41001.tar.xz
      Rollback: instant
      Listener, SSM, version key and instances agree.

    SANDBOX: nothing real is touched
    [exit status: 0]
    "#);
}

#[test]
fn a_second_deploy_meets_the_question_and_without_a_terminal_names_the_flag() {
    let project = project();
    assert_eq!(exit_code(&project.bgx(&["run", "deploy", "--env", "beta"])), Some(0));
    let before = project.world();
    assert_snapshot!(project.bgx(&["run", "deploy", "--env", "beta"]), @"
    refused, nothing was touched in 0.4 s of virtual time, 12 calls
    why: beta-blue already runs 2 instance(s): answer with --answer existing=fresh or --answer existing=stop
    SANDBOX: nothing real is touched
    ------- stderr -------
    SANDBOX: nothing real is touched
    00:00 run yurmpd · playbooks/deploy.rhai on beta
    00:00 preparation
    00:00   ? beta-blue already runs 2 instance(s)
    00:00       fresh  empty it first, then deploy fresh instances
    00:00       stop   stop here; `bgx run rollback` sends traffic to them
    [exit status: 7]
    ");
    assert_eq!(without_clock(&project.world()), without_clock(&before));
    assert_snapshot!(project.bgx(&["run", "deploy", "--env", "beta", "--answer", "existing=stop"]), @"
    refused, nothing was touched in 0.5 s of virtual time, 12 calls
    why: stopped: existing instances were left alone
    SANDBOX: nothing real is touched
    ------- stderr -------
    SANDBOX: nothing real is touched
    00:00 run nv9cbq · playbooks/deploy.rhai on beta
    00:00 preparation
    00:00   ? beta-blue already runs 2 instance(s)
    00:00       fresh  empty it first, then deploy fresh instances
    00:00       stop   stop here; `bgx run rollback` sends traffic to them
    00:00     answer: stop (--answer existing=stop)
    [exit status: 7]
    ");
    assert_eq!(without_clock(&project.world()), without_clock(&before));
}

/// The first line holds the sandbox's time, which reads move too.
fn without_clock(world: &str) -> String {
    world.lines().skip(1).collect()
}

#[test]
fn a_deploy_in_two_listeners_shows_each_route_on_a_line() {
    let project = project();
    let text = project.bgx(&["run", "deploy", "--env", "prod", "--version", "41001", "--bake", "1m"]);
    let end = text.split("------- stderr").next().unwrap_or_default();
    assert_snapshot!(end, @"
    changed:
      /compiler-explorer/prod/active-color             blue → green
      /compiler-explorer/prod/active-target-group-arn  Prod-Blue → Prod-Green
      /compiler-explorer/prod/green-version            absent → dist/gh/main/41001.tar.xz
      prod routes http:80 default                      Prod-Blue 1 → 0, Prod-Green absent → 100
      prod routes https:443 default                    Prod-Blue 1 → 0, Prod-Green absent → 100
      prod-green                                       desired 0 → 6, min 0 → 2
      s3://compiler-explorer/version/release           dist/gh/main/41000.tar.xz → dist/gh/main/41001.tar.xz
    users: 24310 requests, 0 errors (5xx), mixed versions for 3.2 s, never fewer than 6 healthy targets, switched within 3.2 s
    done in 3 min 23 s of virtual time, 228 calls
    SANDBOX: nothing real is touched
    ");
}

#[test]
fn help_of_a_playbook_shows_its_own_flags() {
    assert_snapshot!(project().bgx(&["run", "deploy", "--help"]), @"
    Standard blue-green: boot the idle colour, let the load balancer prove it healthy at weight 0, move all traffic in
    one call per listener, watch it, keep the old colour warm. Users see nothing of it.
    Until `commit` a failure, Ctrl-C or SIGTERM takes everything back by itself.

    Usage: bgx run [OPTIONS] --env <ENV> <PLAYBOOK>
           bgx run [OPTIONS] --plan <FILE>

    Arguments:
      [PLAYBOOK]  a .rhai file, or the name of one in playbooks/

    Options:
      -e, --env <ENV>                environment of bgx.toml; `a,b` for a playbook that is for several
          --plan <FILE>              exactly the run that this plan shows, in place of a playbook; see bgx plan --out
          --answer <ID=KEY>          answer a question beforehand; may be repeated
      -y, --yes                      answer the questions that are not for a human
          --confirm <ENV>            the name of a guarded environment, in place of typing it; `a,b` for several
          --target <TARGET>          sandbox, aws, or the URL of a server; wins over bgx.toml
          --seed <N>                 draws of the sandbox and of retries; the same seed gives the same run
          --pace <60x>               sandbox: how fast virtual time passes before your eyes; 0: as fast as it goes
          --reason <TEXT>            goes to the journal
          --lock-wait <10m>          how long to wait while another run has the environment
          --on-failure <undo|pause>  what becomes of what was done when the run fails; undo unless said
          --json                     events as JSON lines on standard output
      -h, --help                     Print help

    Parameters of the playbook:
          --capacity <INT>    instances to serve with; default: as many as serve now
          --version <STRING>  build (gh-123, 123, latest); default: the build that serves now
          --to <STRING>       colour to deploy to; default: the one that does not serve
          --bake <DURATION>   watch this long after the switch, able to undo [default: 5m]
    [exit status: 0]
    ");
}

#[test]
fn help_without_a_playbook_shows_what_every_run_takes() {
    assert_snapshot!(project().bgx(&["run", "--help"]), @"
    Run a playbook in an environment; `bgx run PLAYBOOK --help` shows the playbook's own flags

    Usage: bgx run [OPTIONS] --env <ENV> <PLAYBOOK>
           bgx run [OPTIONS] --plan <FILE>

    Arguments:
      [PLAYBOOK]  a .rhai file, or the name of one in playbooks/

    Options:
      -e, --env <ENV>                environment of bgx.toml; `a,b` for a playbook that is for several
          --plan <FILE>              exactly the run that this plan shows, in place of a playbook; see bgx plan --out
          --answer <ID=KEY>          answer a question beforehand; may be repeated
      -y, --yes                      answer the questions that are not for a human
          --confirm <ENV>            the name of a guarded environment, in place of typing it; `a,b` for several
          --target <TARGET>          sandbox, aws, or the URL of a server; wins over bgx.toml
          --seed <N>                 draws of the sandbox and of retries; the same seed gives the same run
          --pace <60x>               sandbox: how fast virtual time passes before your eyes; 0: as fast as it goes
          --reason <TEXT>            goes to the journal
          --lock-wait <10m>          how long to wait while another run has the environment
          --on-failure <undo|pause>  what becomes of what was done when the run fails; undo unless said
          --json                     events as JSON lines on standard output
      -h, --help                     Print help
    [exit status: 0]
    ");
}

#[test]
fn bgx_alone_shows_its_commands() {
    assert_snapshot!(project().bgx(&[]), @"
    ------- stderr -------
    Deployments on AWS Auto Scaling groups and load balancers, as playbooks that can be proved and taken back

    Usage: bgx <COMMAND>

    Commands:
      run          Run a playbook in an environment; `bgx run PLAYBOOK --help` shows the playbook's own flags
      plan         Rehearse a playbook in a copy of the account, and show what its run would do; changes nothing
      prove        Play a playbook under every fault at every call, in simulated accounts, and judge what its users see
      repl         Type a playbook line by line: look, try it in a fork, change, take back, save
      status       Show where an environment stands, or all of them
      doctor       Look, by reads alone, whether environments are set up as bgx needs them; exit 3 if not
      check        Find what is wrong with playbooks and modules before anything runs
      compare      Play strategies in simulated accounts of one shape, and put what each costs, and what its users see, side
                   by side
      test         Run the tests of playbooks: the functions test_*() of *_test.rhai, each in a sandbox of its own
      list         List the project's playbooks
      runs         List the runs that are remembered here, newest last
      show         Show what a run did, step by step
      why          Show why a run ended as it did, from the end back to the cause
      recover      Do with an open run whose process died what its playbook's header says; for cron and CI
      resume       Go on with a run that was paused or whose process died
      undo         Take back a run that did not commit
      abandon      Give a run up: leases go back, everything else stays as it is
      answer       Answer a run that waits for the approval of somebody else than who runs it
      lock         Who may change an environment now; exit 0: nobody does, 7: a run has it
      sandbox      The simulated AWS account
      docs         Tell what playbooks can call: the verbs and the standard library, or one of them in full
      new          Make the folder of a new project: bgx.toml, a playbook, its test, a GitHub workflow
      completions  Print the completion script of a shell; for bash: source <(bgx completions bash)
      man          Write the manual pages of bgx and its commands into a folder; pages of before are replaced
      help         Print this message or the help of the given subcommand(s)

    Options:
      -h, --help     Print help
      -V, --version  Print version
    [exit status: 2]
    ");
}

#[test]
fn list_names_the_playbooks_with_their_first_sentence() {
    assert_snapshot!(project().bgx(&["list"]), @r#"
    all-at-once            Replace all instances of the colour that serves at the
                           same time: Elastic Beanstalk's "all at once"
    batch                  Replace the instances of the colour that serves in
                           batches: Elastic Beanstalk's "rolling", or with --surge
                           its "rolling with additional batch"
    builds-list            List the builds that can be deployed, the newest first,
                           and which of them serves
    builds-set-current     Set the build that the next instance boots, without a
                           deploy
    canary                 Canary: a new build gets the traffic in rising shares,
                           and at each its errors, and with --slow the time it
                           takes, are judged against the live colour's, minute by
                           minute
    cleanup                Empty the colour that does not serve, and release the
                           floor that kept it warm
    deploy                 Standard blue-green: boot the idle colour, let the load
                           balancer prove it healthy at weight 0, move all traffic
                           in one call per listener, watch it, keep the old colour
                           warm
    health-check           Check that an environment serves well now: enough healthy
                           targets, instances that answer and run the recorded build
    hybrid                 Hybrid: environments that are guarded are switched, as by
                           `deploy`; the others are refreshed where they stand, as
                           by `rolling`
    immutable              Immutable, as Elastic Beanstalk has it: fresh instances
                           in the other group behind the same target group, one
                           first, and when the load balancer finds it healthy all
                           the others; then the old ones leave, and end
    instance-switch        Blue-green in one target group: boot the idle colour,
                           register its instances 20 in a call, wait until all are
                           healthy, then deregister the old ones and let them drain
    instances-list         List the instances of an environment, of both colours:
                           what Auto Scaling, the load balancer and each of them
                           says
    instances-register     Register the instances that AWS has launched in the
                           colour that serves, where both colours are in one target
                           group: their groups are not attached to it
    instances-restart      Restart the application on every instance of a colour,
                           one by one: out of the load balancer, restarted, healthy,
                           back
    isolate                Isolate an instance for a look at it: another one is
                           launched, then it leaves the load balancer and keeps
                           running
    lock-builds            Lock builds: keep new ones away from an environment
    message-clear          Clear the message that users of an environment read
    message-set            Set the message that users of an environment read, such
                           as that an update is under way
    migrate-back           Send all traffic back to the group that served before a
                           migration: size and health first, then one call per
                           listener
    migrate-live           Migrate an environment from one group to blue and green,
                           instance by instance
    migrate-window         Migrate an environment from one group to blue and green,
                           with a message to users
    notify-live            Tell which build users have now and what is new in it:
                           the webhook, and pull requests and issues at GitHub
    rollback-without-state Roll back while S3 is out: send all traffic to the other
                           colour, with the instances that it has
    rollback               Send all traffic back to the other colour, with the build
                           that it runs
    rolling                Rolling: an instance refresh replaces the instances that
                           serve, a batch at a time, where they stand: the process
                           before blue-green
    shutdown               Take an environment down: empty both colours
    smoke                  Smoke-test the colour that does not serve, instance by
                           instance, before users are sent there
    start                  Start an environment that is down: boot the colour that
                           the listener names, with the build that its version key
                           names
    switch                 Send all traffic to a named colour, once it is large
                           enough and healthy
    unlock-builds          Unlock builds: let new ones come to an environment again,
                           after `bgx run lock-builds`
    validate               Check that an environment is set up as it must be:
                           routes, groups, target groups, builds, and that all
                           records agree
    waves                  Waves: a build goes to one environment after the other,
                           in the order of `--env staging,beta,prod`, each by
                           blue-green and each watched before the next begins
    [exit status: 0]
    "#);
}

#[test]
fn status_shows_both_colours_where_the_listener_points_and_what_disagrees() {
    let project = project();
    assert_snapshot!(project.bgx(&["status", "--env", "beta", "--detailed"]), @r#"
    Status of beta
      Active color:   blue
      Inactive color: green
      Listener:       https:443 /beta* → Beta-Blue 1
      SSM says:       blue
      blue (ACTIVE):
        ASG Name:        beta-blue
        Desired/Min/Max: 2/0/10
        ASG Health:      2/2 healthy
        Target Group:    2/2 healthy in Beta-Blue
        HTTP Health:     2/2 healthy
        Version:         dist/gh/main/41000.tar.xz
        Next boot:       dist/gh/main/41000.tar.xz
          i-070616f2f48dce01c  InService  t3.medium  us-east-1b  10.0.0.8  HTTP 200  target healthy  dist/gh/main/41000.tar.xz
          i-0990cd70b12c5d084  InService  t3.medium  us-east-1a  10.0.0.7  HTTP 200  target healthy  dist/gh/main/41000.tar.xz
      green:
        ASG Name:        beta-green
        Desired/Min/Max: 0/0/10
        ASG Health:      0/0 healthy
        Target Group:    0/0 healthy in Beta-Green
        HTTP Health:     0/0 healthy
        Version:         not recorded
        Next boot:       dist/gh/main/41000.tar.xz
      Rollback: none: green never served here
      Listener, SSM, version key and instances agree.

    SANDBOX: nothing real is touched
    [exit status: 0]
    "#);
    project.write("playbooks/half.rhai", "//! bgx: 1\n//! Half a deploy.\nset_version(\"dist/gh/main/41001.tar.xz\");\n");
    assert_eq!(exit_code(&project.bgx(&["run", "half", "--env", "beta"])), Some(4));
    assert_snapshot!(project.bgx(&["status", "--env", "beta"]), @"
    Status of beta
      Active color:   blue
      Inactive color: green
      Listener:       https:443 /beta* → Beta-Blue 1
      SSM says:       blue
      blue (ACTIVE):
        ASG Name:        beta-blue
        Desired/Min/Max: 2/0/10
        ASG Health:      2/2 healthy
        Target Group:    2/2 healthy in Beta-Blue
        HTTP Health:     2/2 healthy
        Version:         dist/gh/main/41000.tar.xz
        Next boot:       dist/gh/main/41001.tar.xz
      green:
        ASG Name:        beta-green
        Desired/Min/Max: 0/0/10
        ASG Health:      0/0 healthy
        Target Group:    0/0 healthy in Beta-Green
        HTTP Health:     0/0 healthy
        Version:         not recorded
        Next boot:       dist/gh/main/41001.tar.xz
      Rollback: none: green never served here
      DISAGREES: blue runs dist/gh/main/41000.tar.xz, the next instance would boot dist/gh/main/41001.tar.xz

    SANDBOX: nothing real is touched
    [exit status: 0]
    ");
}

#[test]
fn status_of_all_is_one_line_an_environment() {
    assert_snapshot!(project().bgx(&["status"]), @r#"
    ENVIRONMENT     ACTIVE  DESIRED HEALTHY  VERSION                    ROLLBACK
    aarch64prod     blue          2     2/2  dist/gh/main/41000.tar.xz  none: green never served here
    aarch64staging  blue          1     1/1  dist/gh/main/41000.tar.xz  none: green never served here
    beta            blue          2     2/2  dist/gh/main/41000.tar.xz  none: green never served here
    gpu             blue          2     2/2  dist/gh/main/41000.tar.xz  none: green never served here
    prod            blue          6     6/6  dist/gh/main/41000.tar.xz  none: green never served here
    staging         blue          1     1/1  dist/gh/main/41000.tar.xz  none: green never served here
    winprod         blue          2     2/2  dist/gh/main/41000.tar.xz  none: green never served here
    winstaging      blue          1     1/1  dist/gh/main/41000.tar.xz  none: green never served here
    wintest         blue          1     1/1  dist/gh/main/41000.tar.xz  none: green never served here
    SANDBOX: nothing real is touched
    [exit status: 0]
    "#);
}

#[test]
fn json_is_json_and_nothing_else() {
    let project = project();
    let run = project.bgx(&["run", "deploy", "--env", "beta", "--json"]);
    let lines: Vec<&str> = run.trim_end().lines().collect();
    let (status, events) = lines.split_last().expect("a run prints");
    assert_eq!(*status, "[exit status: 0]");
    let events: Vec<serde_json::Value> =
        events.iter().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect();
    assert_eq!(events[0]["what"]["event"], "began");
    let end = events.last().expect("a run has events");
    assert_eq!((&end["code"], &end["end"]["outcome"]), (&serde_json::json!(0), &serde_json::json!("done")));
    for args in [vec!["status", "--json"], vec!["status", "--env", "beta", "--json"]] {
        let text = project.bgx(&args);
        let document = text.strip_suffix("[exit status: 0]\n").expect("status ends with 0");
        let document: serde_json::Value = serde_json::from_str(document).expect("one JSON document");
        let live = if document.is_array() { &document[2]["live"] } else { &document["live"] };
        assert_eq!(live, "green");
    }
}

#[test]
fn sandbox_show_prints_the_account_and_reset_makes_it_new() {
    let project = project();
    let new = project.world();
    let of_beta: Vec<&str> =
        new.lines().filter(|l| ["SANDBOX", "beta", "10.0.0.7", "10.0.0.8", "10.0.0.9"].iter().any(|w| l.contains(w))).collect();
    assert_snapshot!(of_beta.join("\n"), @r#"
    SANDBOX account 123456789012 in us-east-1, 2026-01-01T00:00:00.000Z
      HTTPS:443 /beta* → Beta-Blue 1
    group beta-blue: desired 2, min 0, max 10
      i-070616f2f48dce01c InService t3.medium 10.0.0.8 dist/gh/main/41000.tar.xz
      i-0990cd70b12c5d084 InService t3.medium 10.0.0.7 dist/gh/main/41000.tar.xz
    group beta-green: desired 0, min 0, max 10
    group ce-router-beta: desired 1, min 0, max 1
      i-0d16aa4b296eb9d18 InService t4g.small 10.0.0.9
    parameter /compiler-explorer/beta/active-color = blue (version 1)
    parameter /compiler-explorer/beta/active-target-group-arn = ARN of Beta-Blue (version 1)
    parameter /compiler-explorer/beta/blue-version = dist/gh/main/41000.tar.xz (version 1)
      version/beta = dist/gh/main/41000.tar.xz
    "#);
    assert_eq!(exit_code(&project.bgx(&["run", "deploy", "--env", "beta"])), Some(0));
    assert_ne!(project.world(), new);
    assert_snapshot!(project.bgx(&["sandbox", "reset"]), @r#"
    the sandbox is new
    [exit status: 0]
    "#);
    assert_eq!(project.world(), new);
}
