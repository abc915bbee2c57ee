//! Asks a broker and writes its answers down.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{
    codec::{decode_response, encode_request, hex},
    golden::Section,
    normal::Normaliser,
    schema::Api,
    wire::{Answer, Connection, framed, request_header, response_body},
};
use crate::Error;

/// A correlation id that is easy to see in a dump.
const CORRELATION: i32 = 0x0c0_ffee;

/// How often to ask for something that takes Kafka a moment; each is a round trip.
const ATTEMPTS: usize = 10_000;

/// The answers of one broker to one group of requests.
#[derive(Debug)]
pub struct Recorder {
    address: SocketAddr,
    normaliser: Normaliser,
    sections: Vec<Section>,
}

impl Recorder {
    /// For the broker at `address`.
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            normaliser: Normaliser::new(),
            sections: Vec::new(),
        }
    }

    /// What was written down.
    pub fn into_sections(self) -> Vec<Section> {
        self.sections
    }

    /// Sends a request at every version that Kafka has of it and records the answers.
    ///
    /// # Errors
    /// When the broker neither answers nor closes.
    pub fn all(&mut self, api: &str, what: &str, body: impl Fn(i16) -> Value) -> Result<(), Error> {
        let versions = Api::named(api).versions.clone();
        self.versions(api, what, versions, body)
    }

    /// Sends a request at some versions and records the answers.
    ///
    /// # Errors
    /// When the broker neither answers nor closes.
    pub fn versions(
        &mut self,
        api: &str,
        what: &str,
        versions: impl IntoIterator<Item = i16>,
        body: impl Fn(i16) -> Value,
    ) -> Result<(), Error> {
        versions.into_iter().try_for_each(|version| {
            self.one(api, what, version, &body(version))?;
            Ok(())
        })
    }

    /// Sends a request once, records the answer, and returns it as it came.
    ///
    /// # Errors
    /// When the broker neither answers nor closes.
    pub fn one(
        &mut self,
        api: &str,
        what: &str,
        version: i16,
        body: &Value,
    ) -> Result<Value, Error> {
        let answer = self.send(api, version, body, false)?;
        self.record(api, what, version, &answer);
        Ok(answer)
    }

    /// The same for a request that may stay unanswered.
    ///
    /// # Errors
    /// When the broker neither answers nor closes.
    pub fn silent(
        &mut self,
        api: &str,
        what: &str,
        version: i16,
        body: &Value,
    ) -> Result<(), Error> {
        let answer = self.send(api, version, body, true)?;
        self.record(api, what, version, &answer);
        Ok(())
    }

    /// Sends a request that is not part of the comparison, but its preparation.
    ///
    /// # Errors
    /// When the broker neither answers nor closes.
    pub fn ask(&self, api: &str, version: i16, body: &Value) -> Result<Value, Error> {
        self.send(api, version, body, false)
    }

    /// Sends bytes as a frame's content and records what came back, as hexadecimal digits. The
    /// correlation id must be the one this recorder counts.
    ///
    /// # Errors
    /// When the broker neither answers nor closes.
    pub fn raw(&mut self, what: &str, frame: &[u8]) -> Result<(), Error> {
        let answer = match Connection::open(self.address)?.ask(frame, CORRELATION, false)? {
            Answer::Response(bytes) => json!({ "bytes": hex(&bytes) }),
            Answer::Closed => json!("closed"),
            Answer::Nothing => json!("nothing"),
        };
        self.record("Frame", what, 0, &answer);
        Ok(())
    }

    /// Creates topics with one partition and these configs, and remembers their ids.
    ///
    /// # Errors
    /// When the broker refuses.
    pub fn topics<N: Into<String>>(
        &mut self,
        names: impl IntoIterator<Item = N>,
        configs: &[(&str, &str)],
    ) -> Result<(), Error> {
        self.topics_of(1, names, configs)
    }

    /// The same with more partitions.
    ///
    /// # Errors
    /// When the broker refuses.
    pub fn topics_of<N: Into<String>>(
        &mut self,
        partitions: i32,
        names: impl IntoIterator<Item = N>,
        configs: &[(&str, &str)],
    ) -> Result<(), Error> {
        let configs = configs
            .iter()
            .map(|(name, value)| json!({"name": name, "value": value}));
        let configs: Vec<Value> = configs.collect();
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        let topics = names.iter().map(|name| {
            json!({"name": name, "numPartitions": partitions, "replicationFactor": 1,
                   "configs": configs})
        });
        let body = json!({"topics": topics.collect::<Vec<_>>()});
        let answer = self.ask("CreateTopics", 7, &body)?;
        for topic in answer["topics"].as_array().into_iter().flatten() {
            if topic["errorCode"] != 0 {
                return Err(Error::failed(format!("a topic was not created: {topic}")));
            }
            let (id, name) = (topic["topicId"].as_str(), topic["name"].as_str());
            let (Some(id), Some(name)) = (id, name) else {
                return Err(Error::failed(format!(
                    "a topic without id or name: {topic}"
                )));
            };
            self.normaliser
                .topic_ids
                .insert(id.to_owned(), name.to_owned());
        }
        self.wait_for_leaders(&names, partitions)
    }

    /// Waits until every change so far has come through: Apache Kafka's broker learns of a change
    /// a moment after the controller has answered, but of all changes in order, so that a topic
    /// made now shows when it has got here.
    ///
    /// # Errors
    /// When the broker refuses.
    pub fn settle(&mut self) -> Result<(), Error> {
        let number = self.normaliser.topic_ids.len();
        self.topics([format!("settled-{number}")], &[])
    }

    /// The id of a topic that [`Self::topics`] created.
    ///
    /// # Panics
    /// When it did not.
    pub fn id(&self, topic: &str) -> String {
        let mut ids = self.normaliser.topic_ids.iter();
        let (id, _) = ids
            .find(|(_, name)| *name == topic)
            .expect("a created topic");
        id.clone()
    }

    /// Apache Kafka answers CreateTopics a moment before the broker leads the partitions.
    fn wait_for_leaders(&self, topics: &[String], partitions: i32) -> Result<(), Error> {
        let latest = |index| json!({"partitionIndex": index, "timestamp": -1});
        let indexes: Vec<Value> = (0..partitions).map(latest).collect();
        let topics = topics
            .iter()
            .map(|name| json!({"name": name, "partitions": indexes}));
        let body = json!({"replicaId": -1, "topics": topics.collect::<Vec<_>>()});
        for _ in 0..ATTEMPTS {
            let answer = self.ask("ListOffsets", 2, &body)?.to_string();
            if !answer.contains("\"errorCode\":6,") && !answer.contains("\"errorCode\":3,") {
                return Ok(());
            }
        }
        Err(Error::failed("created topics without a leader"))
    }

    /// Sends a request that is answered only after others were asked.
    ///
    /// # Errors
    /// When the broker does not let us connect.
    pub fn begin(&self, api: &str, version: i16, body: &Value) -> Result<Begun, Error> {
        let api = Api::named(api);
        let mut connection = Connection::open(self.address)?;
        connection.send(&frame(api, version, body));
        Ok(Begun {
            api,
            version,
            connection,
        })
    }

    /// Waits for the answer to such a request, records it, and returns it as it came.
    ///
    /// # Errors
    /// When the broker neither answers nor closes.
    pub fn end(&mut self, what: &str, mut begun: Begun) -> Result<Value, Error> {
        let Begun { api, version, .. } = begun;
        let answer = begun.connection.answer(CORRELATION, false)?;
        let answer = read(api, version, answer)?;
        self.record(api.name, what, version, &answer);
        Ok(answer)
    }

    fn send(&self, api: &str, version: i16, body: &Value, silent: bool) -> Result<Value, Error> {
        let api = Api::named(api);
        let mut connection = Connection::open(self.address)?;
        let answer = connection
            .ask(&frame(api, version, body), CORRELATION, silent)
            .map_err(|error| {
                Error::failed(format!("{} v{version} of {body}: {error}", api.name))
            })?;
        read(api, version, answer)
    }

    fn record(&mut self, api: &str, what: &str, version: i16, answer: &Value) {
        let title = format!("{api}: {what}");
        let answer = self.normaliser.apply(api, version, answer);
        match self
            .sections
            .iter_mut()
            .find(|section| section.title == title)
        {
            Some(section) => section.answers.push((version, answer)),
            None => self.sections.push(Section {
                title,
                answers: vec![(version, answer)],
            }),
        }
    }
}

/// A request that was sent, and whose answer nobody has waited for.
#[derive(Debug)]
pub struct Begun {
    api: &'static Api,
    version: i16,
    connection: Connection,
}

fn frame(api: &Api, version: i16, body: &Value) -> Vec<u8> {
    frame_of(api, version, CORRELATION, body)
}

/// A request's bytes, with the length in front.
pub fn frame_of(api: &Api, version: i16, correlation: i32, body: &Value) -> Vec<u8> {
    let flexible = api.is_flexible(version);
    let mut frame = request_header(api.key, version, correlation, flexible);
    frame.extend(encode_request(api, version, body));
    framed(&frame)
}

/// What an answer says.
///
/// # Errors
/// When the bytes are not an answer to `api`.
pub fn read(api: &Api, version: i16, answer: Answer) -> Result<Value, Error> {
    match answer {
        Answer::Closed => Ok(json!("closed")),
        Answer::Nothing => Ok(json!("nothing")),
        // A version that is not served is answered, if at all, in version 0.
        Answer::Response(bytes) => Some(version)
            .filter(|version| api.versions.contains(version))
            .map_or(Ok((0, &*bytes)), |v| {
                Ok((v, response_body(api, v, &bytes)?))
            })
            .and_then(|(version, body)| decode_response(api, version, body))
            .map_err(|error| {
                let name = api.name;
                let bytes = hex(&bytes);
                Error::failed(format!("answer to {name} v{version}: {error}: {bytes}"))
            }),
    }
}

/// A request's header with the correlation id that answers are looked for.
pub fn header(key: i16, version: i16, flexible: bool) -> Vec<u8> {
    request_header(key, version, CORRELATION, flexible)
}
