import Dispatch
import Foundation
import Synchronization
import Testing

@testable import Training

struct BackgroundTests {
  private struct Failure: Error, Equatable {
    let job: Int
  }

  @Test func aValueIsMadeBeforeAnybodyAsksForIt() {
    let isMade = DispatchSemaphore(value: 0)
    let value = Background {
      isMade.signal()
      return 7
    }
    #expect(isMade.wait(timeout: .now() + 30) == .success)
    #expect(value.value == 7)
    #expect(value.value == 7, "and is kept")
  }

  @Test func jobsAreDoneInTheirOrderAndAllBeforeTheEnd() throws {
    let queue = BackgroundQueue(label: "test")
    let done = Mutex<[Int]>([])
    for job in 0..<50 {
      queue.add {
        if job % 7 == 0 { Thread.sleep(forTimeInterval: 0.002) }
        done.withLock { $0.append(job) }
      }
    }
    try queue.finish()
    #expect(done.withLock { $0 } == Array(0..<50))
  }

  @Test func theFirstFailureIsToldAndEndsTheRest() {
    let queue = BackgroundQueue(label: "test")
    let done = Mutex<[Int]>([])
    for job in 0..<5 {
      queue.add {
        if job >= 2 { throw Failure(job: job) }
        done.withLock { $0.append(job) }
      }
    }
    #expect(throws: Failure(job: 2)) { try queue.finish() }
    #expect(queue.failure as? Failure == Failure(job: 2))
    #expect(done.withLock { $0 } == [0, 1])
  }
}
