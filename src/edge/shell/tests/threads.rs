//! Asking on threads of their own.

use super::*;

/// Answers when it is let to.
struct Patient(std::sync::mpsc::Receiver<()>, Sandbox);

impl PaymentGateway for Patient {
    fn ask(
        &mut self,
        key: &IdempotencyKey,
        request: &PaymentRequest,
    ) -> Result<PaymentOutcome, GatewayUnavailable> {
        self.0.recv().unwrap();
        self.1.ask(key, request)
    }
}

#[test]
fn a_slow_gateway_holds_up_nothing_and_its_answer_is_heard_later() {
    let (let_go, patient) = std::sync::mpsc::channel();
    let sandbox = Sandbox::in_memory().unwrap();
    let gateway = Box::new(Patient(patient, sandbox.clone()));
    let (asker, mut answers) = Asker::threads(vec![gateway]).unwrap();
    let mut bench = Bench::new(
        usize::MAX,
        [
            vec![decide(), pay("k1")],
            vec![decide(), open("somebody else")],
            vec![pay("k1")],
            vec![decide(), open("s")],
        ],
    );
    bench.shell.asker = asker;
    assert!(bench.batch(vec![Input::Tick]).unwrap().is_empty());
    let (asking, next) = (bench.shell.asking(), bench.shell.next_retry_at());
    assert_eq!((asking, next), (1, None), "it is not asked again meanwhile");
    assert_eq!(
        bench.batch(vec![Input::Tick]).unwrap(),
        ["open somebody else"]
    );
    assert!(bench.batch(vec![Input::Tick]).unwrap().is_empty());
    assert_eq!(bench.shell.asking(), 1);

    let_go.send(()).unwrap();
    let answer = answers.blocking_recv().unwrap();
    let effects = bench.shell.answered([answer], at(1)).unwrap();
    assert_eq!(effects.iter().map(name).collect::<Vec<_>>(), ["open s"]);
    assert_eq!((bench.shell.asking(), bench.shell.pending()), (0, 0));
    assert_eq!(sandbox.ledger().unwrap().len(), 1);
}

#[test]
fn questions_beyond_the_queue_wait_for_their_turn() {
    let (let_go, patient) = std::sync::mpsc::channel();
    let sandbox = Sandbox::in_memory().unwrap();
    let gateway = Box::new(Patient(patient, sandbox.clone()));
    let (asker, mut answers) = Asker::threads(vec![gateway]).unwrap();
    let many = 200;
    let questions = (0..many).map(|n| pay(&format!("k{n}"))).collect();
    let mut bench = Bench::new(usize::MAX, [questions]);
    bench.shell.asker = asker;
    bench.batch(vec![Input::Tick]).unwrap();
    assert_eq!(bench.shell.pending(), many);
    assert!(bench.shell.asking() < many);
    for second in 0.. {
        if bench.shell.pending() == 0 {
            break;
        }
        let_go.send(()).unwrap();
        let answer = answers.blocking_recv().unwrap();
        bench.shell.answered([answer], at(second)).unwrap();
        bench.shell.retry(at(second)).unwrap();
    }
    assert_eq!(sandbox.ledger().unwrap().len(), many, "each once");
}
