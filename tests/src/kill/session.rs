//! Requests and answers on one connection, in order.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::{
    Error,
    differential::{
        recorder::{frame_of, read},
        schema::Api,
        wire::Connection,
    },
};

/// A connection, and how many requests it has sent.
#[derive(Debug)]
pub(crate) struct Session {
    connection: Connection,
    sent: i32,
    answered: i32,
}

impl Session {
    /// # Errors
    /// When the broker does not accept.
    pub(crate) fn open(address: SocketAddr) -> Result<Self, Error> {
        Ok(Self {
            connection: Connection::open(address)?,
            sent: 0,
            answered: 0,
        })
    }

    /// Sends a request without waiting.
    pub(crate) fn send(&mut self, api: &str, version: i16, body: &Value) {
        self.sent += 1;
        let frame = frame_of(Api::named(api), version, self.sent, body);
        self.connection.send(&frame);
    }

    /// The answer to the oldest request that has none; `None` where the connection is closed.
    ///
    /// # Errors
    /// When the answer is none to such a request.
    pub(crate) fn receive(&mut self, api: &str, version: i16) -> Result<Option<Value>, Error> {
        self.answered += 1;
        // A kill may cut an answer short: no answer either.
        let Ok(answer) = self.connection.answer(self.answered, false) else {
            return Ok(None);
        };
        let answer = read(Api::named(api), version, answer)?;
        Ok(Some(answer).filter(|answer| answer != "closed"))
    }

    /// Asks and waits.
    ///
    /// # Errors
    /// As [`Session::receive`].
    pub(crate) fn ask(
        &mut self,
        api: &str,
        version: i16,
        body: &Value,
    ) -> Result<Option<Value>, Error> {
        self.send(api, version, body);
        self.receive(api, version)
    }

    /// Asks a broker that is not about to be killed.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub(crate) fn must(&mut self, api: &str, version: i16, body: &Value) -> Result<Value, Error> {
        let answer = self.ask(api, version, body)?;
        answer.ok_or_else(|| Error::failed(format!("{api} was not answered")))
    }
}

/// Makes a topic.
pub(crate) fn create_topic(address: SocketAddr, name: &str, partitions: i32) -> Result<(), Error> {
    let body = json!({"timeoutMs": 30_000, "topics": [
        {"name": name, "numPartitions": partitions, "replicationFactor": 1}]});
    let answer = Session::open(address)?.must("CreateTopics", 7, &body)?;
    match answer["topics"][0]["errorCode"].as_i64() {
        Some(0) => Ok(()),
        _ => Err(Error::failed(format!("a topic was not created: {answer}"))),
    }
}
