//! Black-box tests: real PostgreSQL, the real worker, real clients.

mod configurations; // the configurations people have
mod connector_json; // as they wrote them
mod broker_clients; // other people's clients on the embedded broker
mod crash; // kill -9 at the worst moment
mod servers; // servers that go and come back
mod scripts; // what users type and what their scripts do
mod setup; // two databases, a worker, two connectors
