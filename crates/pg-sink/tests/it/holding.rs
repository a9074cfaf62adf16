//! Rows that come before the rows that they refer to, and deletes that come before those of their children.

use std::time::{Duration, Instant};

use connect::Value;
use connect::contract::Tolerance;
use pg_sink::Flavour;

use crate::feed::{Feed, properties};
use crate::postgres::{Database, cluster};
use crate::rows::{Topic, int, optional_int, text};

const TABLES: &str = "CREATE TABLE users(id int PRIMARY KEY, name text UNIQUE); \
     CREATE TABLE posts(id int PRIMARY KEY, user_id int NOT NULL REFERENCES users ON DELETE CASCADE, title text); \
     CREATE TABLE comments(id int PRIMARY KEY, post_id int NOT NULL REFERENCES posts ON DELETE CASCADE, \
     user_id int REFERENCES users ON DELETE CASCADE, up int REFERENCES comments)";

struct Rig {
    database: Database,
    feed: Feed,
    users: Topic,
    posts: Topic,
    comments: Topic,
}

async fn rig(more: &[(&str, &str)]) -> Rig {
    let database = cluster().database().await;
    database.run(TABLES).await;
    let mut options = vec![
        ("connection.url", &*database.url),
        ("connection.user", "postgres"),
        ("topics", "users,posts,comments"),
        ("insert.mode", "upsert"),
        ("pk.mode", "record_key"),
        ("delete.enabled", "true"),
    ];
    options.extend(more);
    let mut feed = Feed::start(Flavour::Confluent, &properties(&options), Tolerance::All).await.unwrap();
    for topic in ["users", "posts", "comments"] {
        feed.open(topic);
    }
    Rig {
        users: Topic::new("users", &[("id", int()), ("name", text())]),
        posts: Topic::new("posts", &[("id", int()), ("user_id", int()), ("title", text())]),
        comments: Topic::new(
            "comments",
            &[("id", int()), ("post_id", int()), ("user_id", optional_int()), ("up", optional_int())],
        ),
        database,
        feed,
    }
}

impl Rig {
    fn user(&self, id: i32) -> crate::feed::Draft {
        self.users.upsert(vec![id.into(), format!("u{id}").into()])
    }
    fn post(&self, id: i32, user: i32) -> crate::feed::Draft {
        self.posts.upsert(vec![id.into(), user.into(), format!("p{id}").into()])
    }
    fn comment(&self, id: i32, post: i32, user: Option<i32>, up: Option<i32>) -> crate::feed::Draft {
        self.comments.upsert(vec![id.into(), post.into(), user.into(), up.into()])
    }
    async fn counts(&self) -> (i64, i64, i64) {
        (
            self.database.count("users").await,
            self.database.count("posts").await,
            self.database.count("comments").await,
        )
    }
}

#[tokio::test]
async fn grandchildren_first() {
    let mut rig = rig(&[]).await;
    let comments = (0..10).map(|id| rig.comment(id, 1, Some(1), (id > 0).then_some(id - 1))).collect();
    rig.feed.write(comments).await;
    assert_eq!(rig.counts().await, (0, 0, 0));
    assert_eq!(rig.feed.committed("comments"), Some(0));
    rig.feed.write(vec![rig.post(1, 1)]).await;
    assert_eq!(rig.counts().await, (0, 0, 0));
    rig.feed.write(vec![rig.user(1)]).await;
    assert_eq!(rig.counts().await, (1, 1, 10));
    assert_eq!((rig.feed.committed("comments"), rig.feed.committed("posts")), (Some(10), Some(1)));
}

#[tokio::test]
async fn one_batch_in_any_order() {
    let mut rig = rig(&[]).await;
    let batch = vec![
        rig.comment(5, 1, None, Some(6)),
        rig.comment(6, 2, Some(2), None),
        rig.comment(7, 2, Some(2), Some(7)),
        rig.post(1, 2),
        rig.post(2, 1),
        rig.user(1),
        rig.user(2),
    ];
    rig.feed.write(batch).await;
    assert_eq!(rig.counts().await, (2, 2, 3));
    // Everything goes again, parents' deletes first.
    let batch = vec![
        rig.users.delete(1),
        rig.users.delete(2),
        rig.posts.delete(1),
        rig.posts.delete(2),
        rig.comments.delete(6),
        rig.comments.delete(5),
        rig.comments.delete(7),
    ];
    rig.feed.write(batch).await;
    assert_eq!(rig.counts().await, (0, 0, 0));
}

#[tokio::test]
async fn a_parents_delete_waits_for_its_children_and_spares_what_was_created_again() {
    let mut rig = rig(&[]).await;
    rig.feed.write(vec![rig.user(1), rig.post(1, 1), rig.post(2, 1)]).await;
    // The source deleted the user with all posts, and created user and one post again.
    rig.feed.write(vec![rig.users.delete(1)]).await;
    assert_eq!(rig.counts().await, (1, 2, 0), "the target's own cascade must not run");
    rig.feed.write(vec![rig.posts.delete(1)]).await;
    rig.feed.write(vec![rig.user(1)]).await;
    rig.feed.write(vec![rig.posts.delete(2), rig.post(2, 1)]).await;
    assert_eq!(rig.counts().await, (1, 1, 0));
    assert_eq!((rig.feed.committed("users"), rig.feed.committed("posts")), (Some(3), Some(5)));
}

#[tokio::test]
async fn an_insert_and_its_delete_cancel_while_held() {
    let mut rig = rig(&[]).await;
    rig.feed.write(vec![rig.post(1, 9)]).await;
    assert_eq!(rig.feed.committed("posts"), Some(0));
    rig.feed.write(vec![rig.posts.delete(1)]).await;
    assert_eq!(rig.feed.committed("posts"), Some(2));
}

#[tokio::test]
async fn a_unique_value_moves_from_row_to_row() {
    let mut rig = rig(&[]).await;
    rig.feed.write(vec![rig.user(1), rig.user(2)]).await;
    let renamed = |id: i32, name: &str| rig.users.upsert(vec![id.into(), Value::text(name)]);
    // 2 takes the name that 1 gives up; the batch folds the order away.
    let batch = vec![renamed(2, "x"), renamed(1, "y"), renamed(2, "u1")];
    rig.feed.write(batch).await;
    let rows = rig.database.rows("users").await;
    assert_eq!(rows[1][1].as_deref(), Some("u1"));
    assert_eq!(rig.feed.committed("users"), Some(5));
}

#[tokio::test]
async fn what_nothing_can_help_is_rejected_after_its_time() {
    let mut rig = rig(&[("foreign.key.hold.timeout.ms", "100")]).await;
    rig.feed.write(vec![rig.post(1, 7), rig.user(1), rig.post(2, 1)]).await;
    assert_eq!(rig.counts().await, (1, 1, 0));
    // The parents' topic is not read to its end: the time does not run.
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(1500) {
        tokio::time::sleep(Duration::from_millis(50)).await;
        rig.feed.flush().await.unwrap();
    }
    assert!(rig.feed.rejected.is_empty());
    for topic in ["users", "posts", "comments"] {
        rig.feed.reached_end(topic);
    }
    while rig.feed.rejected.is_empty() && started.elapsed() < Duration::from_secs(20) {
        tokio::time::sleep(Duration::from_millis(50)).await;
        rig.feed.flush().await.unwrap();
    }
    let error = rig.feed.rejected[0].error.to_string();
    assert!(error.contains("\"public\".\"users\""), "{error}");
    assert_eq!(rig.feed.rejected.len(), 1);
    assert_eq!(rig.feed.committed("posts"), Some(2));
}

#[tokio::test]
async fn a_partition_that_holds_too_much_pauses_alone() {
    let mut rig = rig(&[("foreign.key.hold.max.bytes", "65536")]).await;
    let posts = (0..500).map(|id| rig.post(id, 1)).collect();
    rig.feed.write(posts).await;
    assert_eq!(rig.feed.paused.iter().map(|partition| &*partition.topic).collect::<Vec<_>>(), ["posts"]);
    rig.feed.write(vec![rig.user(1)]).await;
    assert!(rig.feed.paused.is_empty());
    assert_eq!(rig.counts().await, (1, 500, 0));
}

#[tokio::test]
async fn a_hold_that_nothing_can_empty_ends_in_an_error() {
    let options = [("foreign.key.hold.max.bytes", "65536"), ("foreign.key.hold.timeout.ms", "500")];
    let mut rig = rig(&options).await;
    rig.feed.write(vec![rig.user(1), rig.post(1, 1)]).await;
    // Each refers to the next one, and the last of them lies behind what may be held.
    let comment = |id: i32| rig.comments.upsert(vec![id.into(), 1.into(), 1.into(), (id + 1).into()]);
    let comments = (0..1000).map(comment).collect();
    rig.feed.write(comments).await;
    assert!(rig.feed.paused.iter().any(|partition| &*partition.topic == "comments"));
    rig.feed.reached_end("users");
    rig.feed.reached_end("posts");
    let started = Instant::now();
    while rig.feed.rejected.is_empty() && started.elapsed() < Duration::from_secs(20) {
        tokio::time::sleep(Duration::from_millis(50)).await;
        rig.feed.flush().await.unwrap();
    }
    let error = &rig.feed.rejected[0].error;
    assert!(error.hint.as_deref().unwrap_or_default().contains("foreign.key.hold.max.bytes"), "{error:?}");
}

#[tokio::test]
async fn what_was_held_of_a_closed_partition_is_forgotten() {
    let mut rig = rig(&[]).await;
    rig.feed.write(vec![rig.post(1, 1)]).await;
    rig.feed.close("posts");
    rig.feed.write(vec![rig.user(1)]).await;
    assert_eq!(rig.counts().await, (1, 0, 0));
    assert_eq!(rig.feed.committed("posts"), None);
    rig.feed.open("posts");
    rig.feed.write(vec![rig.post(1, 1)]).await;
    assert_eq!(rig.counts().await, (1, 1, 0));
}

#[tokio::test]
async fn keys_of_several_columns_and_keys_that_are_not_the_primary_one() {
    let database = cluster().database().await;
    database
        .run(
            "CREATE TABLE users(id int PRIMARY KEY, tenant int, name text, UNIQUE (tenant, name), UNIQUE (name)); \
             CREATE TABLE posts(id int PRIMARY KEY, tenant int, author text, \
             FOREIGN KEY (tenant, author) REFERENCES users(tenant, name) ON DELETE CASCADE); \
             CREATE TABLE comments(id int PRIMARY KEY, author char(4) REFERENCES names(code))"
                .replace("CREATE TABLE comments", "CREATE TABLE names(code char(4) PRIMARY KEY); CREATE TABLE comments")
                .as_str(),
        )
        .await;
    let options = properties(&[
        ("connection.url", &*database.url),
        ("connection.user", "postgres"),
        ("topics", "users,posts,comments,names"),
        ("insert.mode", "upsert"),
        ("pk.mode", "record_key"),
        ("delete.enabled", "true"),
    ]);
    let mut feed = Feed::start(Flavour::Confluent, &options, Tolerance::All).await.unwrap();
    let users = Topic::new("users", &[("id", int()), ("tenant", int()), ("name", text())]);
    let posts = Topic::new("posts", &[("id", int()), ("tenant", optional_int()), ("author", text())]);
    let names = Topic::new("names", &[("code", connect::SchemaBuilder::string().build())]);
    let comments = Topic::new("comments", &[("id", int()), ("author", text())]);
    let post = |id: i32, tenant: Option<i32>, author: &str| {
        posts.upsert(vec![id.into(), tenant.into(), Value::text(author)])
    };
    let user =
        |id: i32, tenant: i32, name: &str| users.upsert(vec![id.into(), tenant.into(), Value::text(name)]);
    feed.write(vec![post(1, Some(1), "a"), post(2, None, "b"), post(3, Some(2), "a")]).await;
    assert_eq!(database.count("posts").await, 1, "only the row with a null refers to nothing");
    feed.write(vec![comments.upsert(vec![1.into(), Value::text("x")])]).await;
    feed.write(vec![user(7, 1, "a"), names.upsert(vec![Value::text("x")])]).await;
    assert_eq!((database.count("posts").await, database.count("comments").await), (2, 1));
    feed.write(vec![users.delete(7)]).await;
    assert_eq!(database.count("users").await, 1, "a post still refers to the name");
    feed.write(vec![posts.delete(1), posts.delete(3)]).await;
    assert_eq!((database.count("users").await, database.count("posts").await), (0, 1));
}

#[tokio::test]
async fn tables_that_the_connector_does_not_write() {
    let database = cluster().database().await;
    database
        .run(&format!(
            "{TABLES}; CREATE TABLE logins(user_id int REFERENCES users ON DELETE CASCADE); \
             CREATE TABLE bills(user_id int REFERENCES users); INSERT INTO users VALUES (1, 'u1'), (2, 'u2'); \
             INSERT INTO logins VALUES (1); INSERT INTO bills VALUES (2)"
        ))
        .await;
    let options = properties(&[
        ("connection.url", &*database.url),
        ("connection.user", "postgres"),
        ("topics", "users"),
        ("insert.mode", "upsert"),
        ("pk.mode", "record_key"),
        ("delete.enabled", "true"),
        ("foreign.key.hold.timeout.ms", "0"),
    ]);
    let mut feed = Feed::start(Flavour::Confluent, &options, Tolerance::All).await.unwrap();
    let users = Topic::new("users", &[("id", int()), ("name", text())]);
    feed.put(vec![users.delete(1), users.delete(2)]).await.unwrap();
    feed.flush().await.unwrap();
    assert_eq!((database.count("logins").await, database.count("users").await), (0, 1));
    // Nobody here can delete the bill: the change is rejected at once, since nothing is left to be read.
    let started = Instant::now();
    while feed.rejected.is_empty() && started.elapsed() < Duration::from_secs(10) {
        feed.reached_end("users");
        tokio::time::sleep(Duration::from_millis(50)).await;
        feed.flush().await.unwrap();
    }
    assert_eq!(feed.rejected.len(), 1);
}

#[tokio::test]
async fn replica_sessions_check_nothing() {
    let mut rig = rig(&[("foreign.key.handling", "replica")]).await;
    rig.feed.write(vec![rig.post(1, 9)]).await;
    assert_eq!(rig.counts().await, (0, 1, 0));
}

#[tokio::test]
async fn deferrable_keys_in_a_circle() {
    let database = cluster().database().await;
    database
        .run(
            "CREATE TABLE users(id int PRIMARY KEY, post_id int); \
             CREATE TABLE posts(id int PRIMARY KEY, user_id int REFERENCES users DEFERRABLE); \
             ALTER TABLE users ADD FOREIGN KEY (post_id) REFERENCES posts DEFERRABLE",
        )
        .await;
    let options = properties(&[
        ("connection.url", &*database.url),
        ("connection.user", "postgres"),
        ("topics", "users,posts"),
        ("insert.mode", "upsert"),
        ("pk.mode", "record_key"),
    ]);
    let mut feed = Feed::start(Flavour::Confluent, &options, Tolerance::All).await.unwrap();
    let users = Topic::new("users", &[("id", int()), ("post_id", optional_int())]);
    let posts = Topic::new("posts", &[("id", int()), ("user_id", optional_int())]);
    let user = |id: i32, post: i32| users.upsert(vec![id.into(), post.into()]);
    let post = |id: i32, user: i32| posts.upsert(vec![id.into(), user.into()]);
    feed.write(vec![user(1, 1), post(1, 1), user(2, 9)]).await;
    assert_eq!((database.count("users").await, database.count("posts").await), (1, 1));
    feed.write(vec![post(9, 2)]).await;
    assert_eq!((database.count("users").await, database.count("posts").await), (2, 2));
}
