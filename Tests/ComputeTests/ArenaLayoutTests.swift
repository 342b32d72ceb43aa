import TestSupport
import Testing

@testable import Compute

@Suite struct ArenaLayoutTests {
  /// Random chains of operations over activations of random sizes.
  private struct RandomPlan {
    var plan: Plan

    init(seed: UInt64) {
      var generator = SeededGenerator(seed: seed)
      let count = Int.random(in: 2...24, using: &generator)
      var tensors: [TensorSpec] = []
      for index in 0..<3 {
        for role in [TensorSpec.Role.parameter, .gradient, .firstMoment, .secondMoment] {
          tensors.append(
            TensorSpec(
              name: "\(role)\(index)", shape: [2 * index + 3], hasBatchAxis: false, role: role))
        }
      }
      let first = tensors.count
      for index in 0..<count {
        tensors.append(
          TensorSpec(
            name: "activation\(index)",
            shape: [4, Int.random(in: 1...300, using: &generator)], hasBatchAxis: true,
            role: .activation, elementType: Bool.random(using: &generator) ? .float32 : .uint8))
      }
      func id() -> TensorID {
        TensorID(index: Int.random(in: first..<first + count, using: &generator))
      }
      let operations = (0..<Int.random(in: 1...30, using: &generator)).map { _ in
        Operation.add(Add(elementsPerSample: 1, inputs: [id(), id()], output: id()))
      }
      plan = Plan(
        name: "random", tensors: tensors,
        programs: [
          Program(
            id: .forwardBackward, capacity: 4, operations: operations, inputs: [id()],
            outputs: [id()])
        ])
    }
  }

  @Test(arguments: [nil, 5_000], [true, false])
  func noTwoTensorsOverlapWhileBothAreAlive(limit: Int?, reuses: Bool) throws {
    for seed in 0..<200 as Range<UInt64> {
      try checkPlaces(RandomPlan(seed: seed).plan, limit: limit, reuses: reuses, seed: seed)
    }
  }

  private func checkPlaces(_ plan: Plan, limit: Int?, reuses: Bool, seed: UInt64) throws {
    let program = try #require(plan.programs[.forwardBackward])
    let lifetimes = ArenaLayout.lifetimes(of: program, plan: plan)
    let layout = try ArenaLayout(
      plan: plan, programs: [.forwardBackward], maximumAllocation: limit,
      reusesActivations: reuses, guardBytes: reuses ? 0 : 64)
    let placed = lifetimes.keys.sorted()
    for (i, a) in placed.enumerated() {
      let place = try #require(layout[a])
      #expect(place.offset % 128 == 0)
      #expect(place.byteCount == plan[a].byteCount)
      let size = try #require(layout.segments[.activation]?[place.segment])
      #expect(place.offset + place.byteCount <= size)
      if let limit { #expect(place.offset + place.byteCount <= limit) }
      for b in placed[..<i] {
        let rival = try #require(layout[b])
        let bothAlive = try #require(lifetimes[a]).overlaps(try #require(lifetimes[b]))
        guard rival.segment == place.segment, !reuses || bothAlive else { continue }
        let gap = reuses ? 0 : 64
        #expect(
          place.offset + place.byteCount + gap <= rival.offset
            || rival.offset + rival.byteCount + gap <= place.offset,
          "seed \(seed): \(plan[a].name) overlaps \(plan[b].name)")
      }
    }
  }

  @Test(arguments: [0, 64])
  func noSegmentExceedsTheDevicesLimit(guardBytes: Int) throws {
    for seed in 0..<200 as Range<UInt64> {
      let plan = RandomPlan(seed: seed).plan
      let layout = try ArenaLayout(
        plan: plan, programs: [.forwardBackward], maximumAllocation: 5_000,
        guardBytes: guardBytes)
      for (role, sizes) in layout.segments {
        for size in sizes {
          #expect(size <= 5_000, "seed \(seed): \(role) segment of \(size) bytes")
        }
      }
    }
  }

  /// Disjoint lifetimes share memory: a chain needs two tensors' room, not all of them.
  @Test func aChainReusesTheMemoryOfWhatIsNoLongerRead() throws {
    let tensors = (0..<10).map {
      TensorSpec(name: "t\($0)", shape: [1, 1024], hasBatchAxis: true, role: .activation)
    }
    let operations = (0..<9).map {
      Operation.reluForward(
        ReluForward(
          elementsPerSample: 1024, input: TensorID(index: $0), output: TensorID(index: $0 + 1)))
    }
    let plan = Plan(
      name: "chain", tensors: tensors,
      programs: [Program(id: .predict, capacity: 1, operations: operations)])
    #expect(try ArenaLayout(plan: plan, programs: [.predict]).byteCount == 2 * 4096)
    let kept = try ArenaLayout(plan: plan, programs: [.predict], reusesActivations: false)
    #expect(kept.byteCount == 10 * 4096)
  }

  @Test func parametersGradientsAndMomentsArePackedAlike() throws {
    let plan = trainingPlan
    let layout = try ArenaLayout(plan: plan, programs: [.forwardBackward, .update])
    var offsets: [TensorSpec.Role: [Int]] = [:]
    for role in [TensorSpec.Role.parameter, .gradient, .firstMoment, .secondMoment] {
      var end = 0
      for id in plan.tensors(role: role) {
        let place = try #require(layout[id])
        #expect(place.offset == end && place.segment == 0)
        end += place.byteCount
        offsets[role, default: []].append(place.offset)
      }
      #expect(layout.segments[role] == [end])
    }
    #expect(Set(offsets.values).count == 1)
  }

  @Test func predictionAllocatesNoGradientsAndNoMoments() throws {
    let layout = try ArenaLayout(plan: trainingPlan, programs: [.predict])
    #expect(layout.segments[.parameter] != nil)
    for role in [TensorSpec.Role.gradient, .firstMoment, .secondMoment] {
      #expect(layout.segments[role] == nil)
      for id in trainingPlan.tensors(role: role) { #expect(layout[id] == nil) }
    }
  }

  @Test func activationsOfTwoProgramsShareTheArena() throws {
    let plan = trainingPlan
    let both = try ArenaLayout(plan: plan, programs: [.forwardBackward, .predict])
    let one = try ArenaLayout(plan: plan, programs: [.forwardBackward])
    #expect(both.segments[.activation] == one.segments[.activation])
  }

  @Test func elidedTensorsTakeNoMemory() throws {
    let elided = TensorID(index: trainingPlan.tensors.count - 1)
    let layout = try ArenaLayout(plan: trainingPlan, programs: [.predict], elided: [elided])
    #expect(layout[elided] == nil)
  }

  @Test func aTensorAboveTheLimitIsRefusedByName() {
    #expect(
      throws: ArenaLayout.LayoutError.tensorTooLarge(name: "x", bytes: 4 * 2 * 40, maximum: 256)
    ) {
      try ArenaLayout(plan: trainingPlan, programs: [.predict], maximumAllocation: 256)
    }
  }

  /// Two kernels with gradients and moments; training and prediction over activations of their own.
  private var trainingPlan: Plan {
    var tensors: [TensorSpec] = []
    for role in [TensorSpec.Role.parameter, .gradient, .firstMoment, .secondMoment] {
      for (index, shape) in [[3, 5], [7]].enumerated() {
        tensors.append(
          TensorSpec(name: "\(role)\(index)", shape: shape, hasBatchAxis: false, role: role))
      }
    }
    func activation(_ name: String, _ shape: [Int]) -> TensorID {
      tensors.append(
        TensorSpec(name: name, shape: shape, hasBatchAxis: true, role: .activation))
      return TensorID(index: tensors.count - 1)
    }
    let (x, y) = (activation("x", [2, 40]), activation("y", [2, 40]))
    let (u, v) = (activation("u", [1, 40]), activation("v", [1, 40]))
    func ids(_ role: Int) -> [TensorID] {
      [TensorID(index: 2 * role), TensorID(index: 2 * role + 1)]
    }
    let training = Program(
      id: .forwardBackward, capacity: 2,
      operations: [
        .reluForward(ReluForward(elementsPerSample: 40, input: x, output: y)),
        .denseBackwardKernel(
          DenseBackwardKernel(
            DenseShape(inputs: 3, outputs: 5), input: x, outputGradient: y,
            kernelGradient: ids(1)[0], biasGradient: ids(1)[1])),
      ])
    let update = Program(
      id: .update, capacity: 2,
      operations: [
        .adam(
          Adam(
            AdamSettings(l2: 0), decayed: 0, parameters: ids(0), gradients: ids(1),
            firstMoments: ids(2), secondMoments: ids(3)))
      ])
    let predict = Program(
      id: .predict, capacity: 1,
      operations: [.reluForward(ReluForward(elementsPerSample: 40, input: u, output: v))])
    return Plan(name: "training", tensors: tensors, programs: [training, update, predict])
  }
}
