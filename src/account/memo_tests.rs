//! What is known is asked for again and not read again, and nothing else is taken for it.

use super::super::testing::{Canned, connection, success};
use super::super::{Account, Connection};
use super::*;

fn sharing(connection: &Connection, memo: &Memo) -> Account {
    Account::new(&Connection { memo: Some(memo.clone()), ..connection.clone() })
}

fn health(state: &str, id: &str) -> Canned {
    let target = format!("<Target><Id>i-1</Id></Target><TargetHealth><State>{state}</State></TargetHealth>");
    let result = format!("<TargetHealthDescriptions><member>{target}</member></TargetHealthDescriptions>");
    let reply = success("DescribeTargetHealth", &result);
    match reply {
        Canned::Reply { status, body, .. } => {
            Canned::Reply { status, headers: Vec::from([("x-amzn-requestid", leaked(id))]), body: body.replace("req-1", id) }
        }
        other => other,
    }
}

/// Headers of the tests' replies live as long as they do.
fn leaked(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}

#[tokio::test(start_paused = true)]
async fn each_call_is_sent_and_each_reply_is_what_was_answered() {
    let states = ["initial", "initial", "healthy", "initial"];
    let (connection, log) = connection(move |n, _| health(states[n], &format!("id-{n}")));
    let memo = Memo::default();
    for (n, state) in states.iter().enumerate() {
        let account = sharing(&connection, &memo);
        assert_eq!(account.target_health("arn").await.unwrap()[0].state, *state);
        assert_eq!(account.take_calls()[0].request_id.as_deref(), Some(format!("id-{n}").as_str()), "each has its own id");
    }
    assert_eq!(log.lock().unwrap().len(), states.len());
}

#[tokio::test(start_paused = true)]
async fn what_failed_is_not_kept() {
    let (connection, log) = connection(|n, _| if n == 0 { Canned::Reset } else { health("healthy", "id") });
    let memo = Memo::default();
    let account = sharing(&connection, &memo);
    for _ in 0..3 {
        assert_eq!(account.target_health("arn").await.unwrap()[0].state, "healthy");
    }
    assert_eq!(log.lock().unwrap().len(), 4, "the first was sent again");
}

#[tokio::test(start_paused = true)]
async fn one_resource_and_another_are_two_questions() {
    let (connection, log) = connection(|_, _| health("healthy", "id"));
    let memo = Memo::default();
    for arn in ["one", "two", "one"] {
        sharing(&connection, &memo).target_health(arn).await.unwrap();
    }
    let bodies: Vec<String> = log.lock().unwrap().iter().map(|sent| sent.body.clone()).collect();
    assert!(bodies[0].contains("=one") && bodies[1].contains("=two") && bodies[2] == bodies[0], "{bodies:?}");
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "is not told by its resource")]
async fn a_question_that_its_name_does_not_tell_is_a_bug() {
    let (connection, _) = connection(|_, _| health("healthy", "id"));
    let memo = Memo::default();
    let account = sharing(&connection, &memo);
    account.target_health("one").await.unwrap();
    // The same name for a request about another target group.
    let call = super::super::balancing::call("DescribeTargetHealth", "one", Class::Read);
    let request = || async {
        let sent = account.balancing.describe_target_health().target_group_arn("two").send().await;
        super::super::classify::answer(sent)?.read(|_| Ok(Vec::<super::super::Target>::new()))
    };
    let _ = account.recall.as_ref().unwrap().ask(&call, request).await;
}
