//! A name server that says of every name what the test says, when the test says, and that it holds for no time.

#![allow(dead_code, unreachable_pub, clippy::expect_used, clippy::missing_panics_doc, clippy::disallowed_methods)]

use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use hickory_resolver::proto::{
    op::Message,
    rr::{RData, Record, RecordType},
};

pub struct NameServer {
    pub address: SocketAddr,
    says: Arc<Mutex<Vec<IpAddr>>>,
}

/// Every name has this address, and no other, until told otherwise.
pub fn name_server(says: IpAddr) -> NameServer {
    name_server_after(Duration::ZERO, says)
}

/// The same, answering each question after so long.
pub fn name_server_after(delay: Duration, says: IpAddr) -> NameServer {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = socket.local_addr().expect("an address");
    let says = Arc::new(Mutex::new(vec![says]));
    let said = Arc::clone(&says);
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok((length, asker)) = socket.recv_from(&mut buffer) {
            thread::sleep(delay);
            let question = Message::from_vec(&buffer[..length]).expect("a question");
            let query = question.queries.first().expect("a query").clone();
            let mut reply = question.into_response();
            for address in said.lock().expect("what is said").iter().copied() {
                let kind = if address.is_ipv4() { RecordType::A } else { RecordType::AAAA };
                if query.query_type() == kind {
                    reply.add_answers([Record::from_rdata(query.name().clone(), 0, RData::from(address))]);
                }
            }
            // The bridge may have gone.
            let _gone = socket.send_to(&reply.to_vec().expect("a reply"), asker);
        }
    });
    NameServer { address, says }
}

impl NameServer {
    pub fn says(&self, address: IpAddr) {
        self.says_all(&[address]);
    }

    pub fn says_all(&self, addresses: &[IpAddr]) {
        *self.says.lock().expect("what is said") = addresses.to_vec();
    }
}
