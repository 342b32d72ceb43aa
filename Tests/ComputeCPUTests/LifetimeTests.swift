import Compute
import Networks
import Testing

@testable import ComputeCPU

@Suite struct LifetimeTests {
  /// A run loads one plan after another: each has to give its memory back.
  @Test func aPlanThatNobodyHoldsIsFreed() throws {
    let network = try Network.inceptionSE(
      time: 21, channels: 3, classes: 3, padding: .causal, width: 16)
    let built = NetworkPlan(network, options: NetworkPlanOptions(batchCapacity: 4))
    weak var engine: OneDNN?
    weak var memory: MemoryPool?
    do {
      let loaded = try CPULoadedPlan(
        built.plan, options: LoadOptions(programs: [.predict]), device: CPUDevice(threads: 1))
      try loaded.run(.predict, step: 0, live: 2)
      engine = loaded.oneDNN
      memory = loaded.oneDNN.pool
      #expect(engine != nil && memory != nil)
    }
    #expect(engine == nil)
    #expect(memory == nil)
  }

  @Test func aPlanBeyondTheMachinesMemoryIsRefusedBeforeItIsAllocated() throws {
    let network = try Network.semgNet()
    let built = NetworkPlan(network, options: NetworkPlanOptions(batchCapacity: 65_536_000))
    #expect(throws: DeviceError.self) {
      try CPUDevice(threads: 1).load(
        built.plan, options: LoadOptions(programs: [.forwardBackward]))
    }
  }
}
